/** `stowage project`: makes, shows, changes and ends projects of a running server. */

import { randomUUID } from 'node:crypto';
import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { Command, InvalidArgumentError } from 'commander';
import { type Project, ProjectSchema } from '../../gen/stowage/v1/project_pb.js';
import { type Client, ProjectService } from '../client/index.js';
import { callService, type Surroundings, strong } from './call.js';
import { type ClientDefaults, type ConnectionOptions, wholeNumber } from './connection.js';
import { jsonObject, type OutputOptions, withOutputOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { projectRecord, projectTable } from './project-table.js';

interface FieldOptions extends OutputOptions {
  readonly name?: string;
  readonly status?: string;
  readonly progress?: number;
  readonly metadata?: JsonObject;
}

/** Calls the service and prints what `act` answers. */
async function call(
  options: ConnectionOptions,
  { defaults, shell }: Surroundings,
  act: (client: Client<typeof ProjectService>) => Promise<string>,
): Promise<void> {
  const caller = { name: 'project', options, defaults, shell };
  await callService(ProjectService, caller, async (client) => {
    await print(shell.stdout, await act(client));
  });
}

function render(project: Project | undefined, { json }: OutputOptions): string {
  if (project === undefined) throw new Error('the server answered without the project');
  return json ? `${jsonText(toJson(ProjectSchema, project), 2)}\n` : projectRecord(project);
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
    .option('--metadata <json>', 'facts of your own, as a JSON object', jsonObject);
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

function createCommand(surroundings: Surroundings): Command {
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
      await call(options, surroundings, async (client) => {
        const answer = await client.createProject({ project, requestId: randomUUID() });
        return render(answer.project, options);
      });
    });
}

function getCommand(surroundings: Surroundings): Command {
  return new Command('get')
    .description('show a project')
    .argument('<id>')
    .action(async (id: string, options: OutputOptions) => {
      await call(options, surroundings, async (client) => {
        const answer = await client.getProject({ project: id, freshness: strong });
        return render(answer.project, options);
      });
    });
}

async function listAll(client: Client<typeof ProjectService>, showDeleted: boolean) {
  const projects: Project[] = [];
  let pageToken = '';
  do {
    const request = { pageSize: 1000, pageToken, showDeleted, freshness: strong };
    const page = await client.listProjects(request);
    projects.push(...page.projects);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return projects;
}

function listCommand(surroundings: Surroundings): Command {
  return new Command('list')
    .description('list all projects')
    .option('--all', 'deleted ones too', false)
    .action(async (options: OutputOptions & { readonly all: boolean }) => {
      await call(options, surroundings, async (client) => {
        const projects = await listAll(client, options.all);
        if (!options.json) return projectTable(projects);
        const json = projects.map((project) => toJson(ProjectSchema, project));
        return `${jsonText(json, 2)}\n`;
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

function updateCommand(surroundings: Surroundings): Command {
  return withIfRevision(withFields(new Command('update').description('change a project')))
    .argument('<id>')
    .action(async (id: string, options: FieldOptions & { readonly ifRevision?: number }) => {
      const fields = givenFields(options);
      await call(options, surroundings, async (client) => {
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

function deleteCommand(surroundings: Surroundings): Command {
  return withIfRevision(
    new Command('delete').description('delete a project; nothing in it is lost'),
  )
    .argument('<id>')
    .action(async (id: string, options: OutputOptions & { readonly ifRevision?: number }) => {
      await call(options, surroundings, async (client) => {
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
export function projectCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('project').description('make, show, change and delete projects');
  const factories = [createCommand, getCommand, listCommand, updateCommand, deleteCommand];
  for (const factory of factories) {
    command.addCommand(withOutputOptions(factory({ defaults, shell }), defaults));
  }
  return command;
}
