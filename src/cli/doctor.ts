/**
 * `stowage doctor`: looks at settings and database, says what is wrong and what mends it. Changes
 * nothing and needs no running server.
 */

import { Command } from 'commander';
import type { Config } from '../config.js';
import type { InspectedConfig } from '../config-inspect.js';
import { type Diagnosis, diagnose } from '../postgres/diagnosis/diagnose.js';
import { type Finding, fail, ok, skipped } from '../postgres/diagnosis/finding.js';
import { countVerdicts, type Group, type ReportOutput, renderReport } from './doctor-report.js';
import { jsonText } from './output.js';

/** Exit code where a check failed; warnings are no failures. */
const exitFailed = 1;

/** What the command needs of its surroundings. */
export interface DoctorDependencies {
  /** Reads the settings as far as they can be read. */
  config(): InspectedConfig;
  readonly output: ReportOutput & { write(text: string): unknown };
  /** Sets the exit code of the process; 0 unless it is called. */
  setExitCode(code: number): void;
}

/** Makes the sub-command. */
export function doctorCommand(dependencies: DoctorDependencies): Command {
  const { output } = dependencies;
  return new Command('doctor')
    .description('check settings and database, and say what mends them; exit code 1 for a failure')
    .option('--json', 'print one JSON document')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { config, problems } = dependencies.config();
      const settings = config === undefined ? [] : [settingsFinding(config)];
      const configuration = problems.length === 0 ? settings : problems.map(problemFinding);
      const diagnosis = config === undefined ? undiagnosed() : await diagnose(config);
      const { nodes, cluster, migrator } = diagnosis;
      const all = [configuration, ...nodes.map(({ findings }) => findings), cluster, migrator];
      const summary = countVerdicts(all.flat());
      const exitCode = summary.failures > 0 ? exitFailed : 0;
      dependencies.setExitCode(exitCode);
      const document = { configuration, ...diagnosis, summary, exit_code: exitCode };
      output.write(
        json
          ? `${jsonText(document, 2)}\n`
          : renderReport(groupsOf(configuration, diagnosis), summary, output),
      );
    });
}

function problemFinding(problem: string): Finding {
  return fail('settings', problem, 'Mend the setting; docs/config.md says what each one takes.');
}

function settingsFinding({ postgres, passwordSource }: Config): Finding {
  const { nodes, database, user } = postgres;
  const count = nodes.length === 1 ? '1 node' : `${nodes.length} nodes`;
  const password = passwordSource === undefined ? 'no password' : `password of ${passwordSource}`;
  return ok('settings', `${count}, database ${database}, role ${user}, ${password}`);
}

/** Nobody is asked where the settings do not say whom. */
function undiagnosed(): Diagnosis {
  const reason = 'the settings of the database are wrong';
  const skip = (check: string): Finding => skipped(check, reason);
  return { nodes: [], cluster: [skip('database')], migrator: [skip('migrator')] };
}

function groupsOf(
  configuration: readonly Finding[],
  { nodes, cluster, migrator }: Diagnosis,
): readonly Group[] {
  return [
    { title: 'configuration', findings: configuration },
    ...nodes.map(({ node, role, findings }) => ({
      title: role === undefined ? node : `${node}, ${role}`,
      findings,
    })),
    { title: 'all nodes together', findings: cluster },
    { title: 'migrations', findings: migrator },
  ];
}
