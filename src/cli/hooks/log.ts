/** `stowage hooks log`: logs one execution, from a script. */

import type { JsonObject } from '@bufbuild/protobuf';
import { Command, InvalidArgumentError } from 'commander';
import { HookService, LogExecutionResponseSchema } from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { exactTime } from '../cells.js';
import { jsonObject, notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print } from '../output.js';
import { jsonDocument } from '../pages.js';
import { type PointInTime, pointInTime, timeForms } from '../times.js';

interface LogOptions extends ObjectOptions {
  readonly key?: string;
  readonly took?: number;
  readonly failed: boolean;
  readonly error?: string;
  readonly response?: JsonObject;
  readonly payload?: JsonObject;
  readonly correlation?: string;
  readonly time?: PointInTime;
}

function seconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) {
    throw new InvalidArgumentError('must be a number of seconds, such as 0.342.');
  }
  return Number(text);
}

function executionOf(hookName: string, eventType: string, options: LogOptions) {
  const { took, failed, error, response, payload, time } = options;
  return {
    ...{ hookName, eventType, objectKey: options.key ?? '', errorMessage: error ?? '' },
    correlationId: options.correlation ?? '',
    success: !failed && error === undefined,
    ...(took === undefined ? {} : { executionTime: took }),
    ...(response === undefined ? {} : { response }),
    ...(payload === undefined ? {} : { payload }),
    ...(time === undefined ? {} : { timestamp: time.time }),
  };
}

/** Makes the sub-command. */
export function logCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('log')
    .description('log an execution of a hook, registered here or not')
    .argument('<name>', 'which hook', notEmpty)
    .argument('<event>', 'for which kind of event, such as DOCUMENT_ARCHIVED', notEmpty)
    .option('--key <key>', 'for which object', notEmpty)
    .option('--took <seconds>', 'how long it took', seconds)
    .option('--failed', 'it did not succeed', false)
    .option('--error <sentence>', 'why it did not', notEmpty)
    .option('--response <json>', 'what the target answered, as a JSON object', jsonObject)
    .option('--payload <json>', 'what the target was sent, as a JSON object', jsonObject)
    .option('--correlation <id>', 'what else belongs to it', notEmpty)
    .option('--time <time>', `when it ran, if not now: ${timeForms}`, pointInTime);
  return withObjectOptions(command, defaults).action(
    async (hookName: string, eventType: string, options: LogOptions) => {
      const { project, json } = options;
      const caller = { name: 'hooks', options, defaults, shell };
      await callService(HookService, caller, async (client) => {
        const execution = executionOf(hookName, eventType, options);
        const answer = await client.logExecution({ project, execution });
        const line = `${answer.id} at ${exactTime(answer.timestamp)}\n`;
        const document = () => jsonDocument(LogExecutionResponseSchema, answer);
        await print(shell.stdout, json ? document() : line);
      });
    },
  );
}
