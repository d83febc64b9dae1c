/** `stowage project`: makes, shows, changes and ends projects of a running server. */

import { randomUUID } from 'node:crypto';
import { toJson } from '@bufbuild/protobuf';
import { Command, InvalidArgumentError } from 'commander';
import { type Project, ProjectSchema } from '../../gen/stowage/v1/project_pb.js';
import { type Client, createClient, ProjectService, toStowageError } from '../client/index.js';
import {
  type ClientDefaults,
  type ConnectionOptions,
  connect,
  describeFailure,
  wholeNumber,
  withConnectionOptions,
} from './connection.js';
import { projectRecord, projectTable } from './project-table.js';

interface OutputOptions extends ConnectionOptions {
  readonly json: boolean;
}

interface FieldOptions extends OutputOptions {
  readonly name?: string;
  readonly status?: string;
  readonly progress?: number;
  readonly metadata?: Record<string, JsonValue>;
}

type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Calls the service and prints what `act` answers; a failure is one sentence and exit code 1. */
async function call(
  options: ConnectionOptions,
  defaults: ClientDefaults,
  act: (client: Client<typeof ProjectService>) => Promise<string>,
): Promise<void> {
  const transport = connect(options, defaults);
  try {
    console.log(await act(createClient(ProjectService, transport)));
  } catch (error) {
    console.error(`stowage project: ${describeFailure(toStowageError(error), options.server)}`);
    process.exitCode = 1;
  } finally {
    transport.close();
  }
}

function render(project: Project | undefined, { json }: OutputOptions): string {
  if (project === undefined) throw new Error('the server answered without the project');
  return json
    ? JSON.stringify(toJson(ProjectSchema, project), undefined, 2)
    : projectRecord(project);
}

function parseMetadata(text: string): Record<string, JsonValue> {
  try {
    const value = JSON.parse(text) as JsonValue;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below, as for JSON that is no object.
  }
  throw new InvalidArgumentError('must be a JSON object.');
}

function parsePercent(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 100)) {
    throw new InvalidArgumentError('must be a number from 0 to 100.');
  }
  return value;
}

function withFields(command: Command): Command {
  return command
    .option('--name <name>', 'a name for people')
    .option('--status <word>', 'where the work stands')
    .option('--progress <percent>', 'how far the work is, 0 to 100', parsePercent)
    .option('--metadata <json>', 'facts of your own, as a JSON object', parseMetadata);
}

/** The fields that were given, by their names in the API. */
function givenFields(options: FieldOptions) {
  const { name, status, progress, metadata } = options;
  return {
    ...(name === undefined ? {} : { name }),
    ...(status === undefined ? {} : { status }),
    ...(progress === undefined ? {} : { progress }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function createCommand(defaults: ClientDefaults): Command {
  return withFields(new Command('create').description('make a project'))
    .argument('<id>', 'a to z, 0 to 9, dot, dash and underscore; at most 63')
    .option('--language <tag>', 'the language of the contents, such as en; cannot change')
    .action(async (id: string, options: FieldOptions & { readonly language?: string }) => {
      const { language } = options;
      const project = {
        project: id,
        ...(language === undefined ? {} : { language }),
        ...givenFields(options),
      };
      await call(options, defaults, async (client) => {
        const answer = await client.createProject({ project, requestId: randomUUID() });
        return render(answer.project, options);
      });
    });
}

function getCommand(defaults: ClientDefaults): Command {
  return new Command('get')
    .description('show a project')
    .argument('<id>')
    .action(async (id: string, options: OutputOptions) => {
      await call(options, defaults, async (client) => {
        const freshness = { demand: { case: 'strong', value: true } } as const;
        const answer = await client.getProject({ project: id, freshness });
        return render(answer.project, options);
      });
    });
}

async function listAll(client: Client<typeof ProjectService>, showDeleted: boolean) {
  const freshness = { demand: { case: 'strong', value: true } } as const;
  const projects: Project[] = [];
  let pageToken = '';
  do {
    const page = await client.listProjects({ pageSize: 1000, pageToken, showDeleted, freshness });
    projects.push(...page.projects);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return projects;
}

function listCommand(defaults: ClientDefaults): Command {
  return new Command('list')
    .description('list all projects')
    .option('--all', 'deleted ones too', false)
    .action(async (options: OutputOptions & { readonly all: boolean }) => {
      await call(options, defaults, async (client) => {
        const projects = await listAll(client, options.all);
        if (!options.json) return projectTable(projects);
        const json = projects.map((project) => toJson(ProjectSchema, project));
        return JSON.stringify(json, undefined, 2);
      });
    });
}

function withIfRevision(command: Command): Command {
  return command.option(
    '--if-revision <revision>',
    'only if the project still has this revision',
    wholeNumber(1, Number.MAX_SAFE_INTEGER),
  );
}

function ifRevisionOf(options: { readonly ifRevision?: number }) {
  return options.ifRevision === undefined ? {} : { ifRevision: BigInt(options.ifRevision) };
}

function updateCommand(defaults: ClientDefaults): Command {
  return withIfRevision(withFields(new Command('update').description('change a project')))
    .argument('<id>')
    .action(async (id: string, options: FieldOptions & { readonly ifRevision?: number }) => {
      const fields = givenFields(options);
      await call(options, defaults, async (client) => {
        const answer = await client.updateProject({
          project: { project: id, ...fields },
          updateMask: { paths: Object.keys(fields) },
          requestId: randomUUID(),
          ...ifRevisionOf(options),
        });
        return render(answer.project, options);
      });
    });
}

function deleteCommand(defaults: ClientDefaults): Command {
  return withIfRevision(
    new Command('delete').description('delete a project; nothing in it is lost'),
  )
    .argument('<id>')
    .action(async (id: string, options: OutputOptions & { readonly ifRevision?: number }) => {
      await call(options, defaults, async (client) => {
        const answer = await client.deleteProject({
          project: id,
          requestId: randomUUID(),
          ...ifRevisionOf(options),
        });
        return render(answer.project, options);
      });
    });
}

/** The command; `defaults` come from the environment. */
export function projectCommand(defaults: ClientDefaults): Command {
  const command = new Command('project').description('make, show, change and delete projects');
  const factories = [createCommand, getCommand, listCommand, updateCommand, deleteCommand];
  for (const factory of factories) {
    const subcommand = withConnectionOptions(factory(defaults), defaults);
    command.addCommand(subcommand.option('--json', 'print JSON', false));
  }
  return command;
}
