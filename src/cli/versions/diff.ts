/** `stowage version diff`: how two versions of an object differ. */

import { toJson } from '@bufbuild/protobuf';
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { Command } from 'commander';
import {
  DifferenceKind,
  DiffVersionsResponseSchema,
  type VersionDifference,
  VersionService,
} from '../../client/index.js';
import { callService, type Surroundings, strong } from '../call.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { jsonText, print, widthOf } from '../output.js';
import { jsonDocument } from '../pages.js';
import { escapeText } from '../scan/names.js';

const kinds: Readonly<Record<number, string>> = {
  [DifferenceKind.ADDED]: 'added',
  [DifferenceKind.REMOVED]: 'removed',
  [DifferenceKind.CHANGED]: 'changed',
};

const valueText = (value: Value | undefined): string =>
  value === undefined ? '' : jsonText(toJson(ValueSchema, value));

const columns: NamedColumns<VersionDifference> = [
  { title: 'PATH', cell: ({ path }) => path },
  { title: 'CHANGE', cell: ({ kind }) => kinds[kind] ?? String(kind) },
];

/** Values stand below each other: next to each other long ones would not be seen. */
function valueLines({ before, after }: VersionDifference): readonly string[] {
  const lines = [
    ...(before === undefined ? [] : [`- ${valueText(before)}`]),
    ...(after === undefined ? [] : [`+ ${valueText(after)}`]),
  ];
  return lines.map((line) => `    ${line}`);
}

/** Makes the sub-command. */
export function diffCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('diff')
    .description('show how two versions differ')
    .argument('<key>', "the object's key", notEmpty)
    .argument('<version>', 'as `stowage versions KEY` has it', notEmpty)
    .argument('[other]', 'the one to compare it with; without it the latest', '');
  return withObjectOptions(command, defaults).action(
    async (objectKey: string, versionId: string, other: string, options: ObjectOptions) => {
      const { project, json } = options;
      const caller = { name: 'version', options, defaults, shell };
      await callService(VersionService, caller, async (client) => {
        const request = { project, objectKey, versionId, otherVersionId: other, freshness: strong };
        const answer = await client.diffVersions(request);
        const { differences, otherVersionId } = answer;
        if (json) {
          await print(shell.stdout, jsonDocument(DiffVersionsResponseSchema, answer));
          return;
        }
        const names = [versionId, otherVersionId].map(escapeText);
        if (differences.length === 0) {
          shell.stderr.write(`${names[0]} and ${names[1]} do not differ.\n`);
          return;
        }
        const narrowing = { width: widthOf(shell.stdout), below: valueLines };
        const lines = fittedLines(columns, differences, narrowing);
        const legend = [`- ${names[0]}`, `+ ${names[1]}`];
        await print(shell.stdout, [...legend, '', ...lines].map((line) => `${line}\n`).join(''));
      });
    },
  );
}
