/** `stowage get`: shows what is known of one object. */

import { toJson } from '@bufbuild/protobuf';
import { Command } from 'commander';
import { type StorageObject, StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { StorageService } from '../client/index.js';
import { callService, strong } from './call.js';
import { exactTime, wholeSize } from './cells.js';
import type { ClientDefaults } from './connection.js';
import { type ObjectOptions, withObjectOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { renderRecord } from './table.js';

interface GetOptions extends ObjectOptions {
  readonly deleted: boolean;
}

/** One line a field, the metadata as JSON over several. */
export function objectRecord(object: StorageObject): string {
  const metadata = object.metadata ?? {};
  const hasMetadata = Object.keys(metadata).length > 0;
  return renderRecord([
    ['key', object.objectKey],
    ['size', wholeSize(object.size)],
    ['content type', object.contentType],
    ['etag', object.etag],
    ['version', object.versionId],
    ['backend', object.storageBackend],
    ['class', object.storageClass],
    ['owner', object.owner],
    ['last modified', exactTime(object.lastModified)],
    ['created', exactTime(object.createdAt)],
    ['deleted', exactTime(object.deletedAt)],
    ['purge at', exactTime(object.purgeAt)],
    ['revision', String(object.revision)],
    ['id', object.id],
    ['metadata', hasMetadata ? jsonText(metadata, 2).split('\n') : ''],
  ]);
}

/** The object as a program reads it, or as a person does. */
export function renderObject(object: StorageObject | undefined, isJson: boolean): string {
  if (object === undefined) throw new Error('the server answered without the object');
  return isJson ? `${jsonText(toJson(StorageObjectSchema, object), 2)}\n` : objectRecord(object);
}

/** The command; `defaults` come from the environment. */
export function getCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('get')
    .description('show what is known of an object')
    .argument('<key>')
    .option('--deleted', 'also where it is deleted', false);
  return withObjectOptions(command, defaults).action(
    async (objectKey: string, options: GetOptions) => {
      const { project, deleted: showDeleted, json } = options;
      const caller = { name: 'get', options, defaults, shell };
      await callService(StorageService, caller, async (client) => {
        const request = { project, objectKey, showDeleted, freshness: strong };
        const { object } = await client.getObject(request);
        await print(shell.stdout, renderObject(object, json));
      });
    },
  );
}
