/** `stowage audit append`: one event, from a script. */

import type { JsonObject } from '@bufbuild/protobuf';
import { Command } from 'commander';
import { AppendEventResponseSchema, AuditService } from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { exactTime } from '../cells.js';
import { jsonObject, notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print } from '../output.js';
import { jsonDocument } from '../pages.js';
import { type PointInTime, pointInTime, timeForms } from '../times.js';

interface AppendOptions extends ObjectOptions {
  readonly time?: PointInTime;
  readonly key?: string;
  readonly version?: string;
  readonly user?: string;
  readonly username?: string;
  readonly ip?: string;
  readonly correlation?: string;
  readonly error?: string;
  readonly failed: boolean;
  readonly metadata?: JsonObject;
}

function eventOf(action: string, options: AppendOptions) {
  const { time, metadata, failed, error } = options;
  return {
    action,
    objectKey: options.key ?? '',
    versionId: options.version ?? '',
    userId: options.user ?? '',
    username: options.username ?? '',
    ipAddress: options.ip ?? '',
    correlationId: options.correlation ?? '',
    success: !failed && error === undefined,
    errorMessage: error ?? '',
    ...(time === undefined ? {} : { timestamp: time.time }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

/** Makes the sub-command. */
export function appendCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('append')
    .description('append an event')
    .argument('<action>', 'what was done, such as DOWNLOAD', notEmpty)
    .option('--key <key>', 'to which object', notEmpty)
    .option('--version <id>', 'to which version of it', notEmpty)
    .option('--user <id>', 'who did it, as programs know them', notEmpty)
    .option('--username <name>', 'who did it, as people know them', notEmpty)
    .option('--ip <address>', 'from where', notEmpty)
    .option('--failed', 'it did not succeed', false)
    .option('--error <sentence>', 'why it did not', notEmpty)
    .option('--correlation <id>', 'what else belongs to it', notEmpty)
    .option('--metadata <json>', 'further facts, as a JSON object', jsonObject)
    .option('--time <time>', `when it happened, if not now: ${timeForms}`, pointInTime);
  return withObjectOptions(command, defaults).action(
    async (action: string, options: AppendOptions) => {
      const { project, json } = options;
      const caller = { name: 'audit', options, defaults, shell };
      await callService(AuditService, caller, async (client) => {
        const answer = await client.appendEvent({ project, event: eventOf(action, options) });
        const line = `${answer.id} at ${exactTime(answer.timestamp)}\n`;
        const document = () => jsonDocument(AppendEventResponseSchema, answer);
        await print(shell.stdout, json ? document() : line);
      });
    },
  );
}
