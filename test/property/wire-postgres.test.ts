/** What PostgreSQL itself sends in binary format becomes the message it must. */

import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { keepEveryCharacter } from '../../src/wire/utf8.js';
import { WireWriter } from '../../src/wire/writer.js';
import { tupleOfBytes } from '../support/binary-tuple.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { jsonbText } from '../support/jsonb-text.js';
import {
  columns,
  objectEncoder,
  type Row,
  rowArbitrary,
  rowMessage,
} from '../support/storage-object-rows.js';

keepEveryCharacter();

/** The functions that the server itself writes binary results with. */
const sends: Readonly<Record<string, string>> = {
  text: 'textsend',
  uuid: 'uuid_send',
  int8: 'int8send',
  timestamptz: 'timestamptz_send',
  jsonb: 'jsonb_send',
};
const calls = columns.map(({ type }, i) => `${sends[type]}($${i + 1}::${type}) as c${i}`);
const SELECT = `select ${calls.join(', ')}, ($10::jsonb)::text as metadata`;

/** A time with its microseconds, which a Date does not have. */
function timeText(micros: bigint): string {
  const millis = Number((micros - (((micros % 1000n) + 1000n) % 1000n)) / 1000n);
  const rest = String(((micros % 1000n) + 1000n) % 1000n).padStart(3, '0');
  return new Date(millis).toISOString().replace('Z', `${rest}Z`);
}

function parameters(row: Row): (string | null)[] {
  return columns.map(({ name, type }) => {
    const value = row[name as keyof Row] ?? null;
    if (value === null) return null;
    if (type === 'jsonb') return jsonbText(value as JsonObject);
    return type === 'timestamptz' ? timeText(value as bigint) : String(value);
  });
}

/** PostgreSQL has no NUL in text; it refuses such a row. */
function hasNul(row: Row): boolean {
  return parameters(row).some((text) => text?.includes('\0') || text?.includes('\\u0000'));
}

it('gives the rows that a server sends to whoever decodes the message', async () => {
  const [primary] = sharedCluster().nodes;
  if (primary === undefined) throw new Error('the shared cluster has no node');
  await using database = await createTestDatabase(primary.url, { migrate: false });
  const connection = await database.connect();
  const encoder = objectEncoder();
  const rows = rowArbitrary(true).filter((row) => !hasNul(row));
  const property = fc.asyncProperty(rows, async (row) => {
    const [sent] = await connection.query<Record<string, Buffer | null>>(SELECT, parameters(row));
    const bytes = tupleOfBytes(columns.map((_, i) => sent?.[`c${i}`] ?? null));
    const writer = new WireWriter(1);
    encoder.encode(writer, bytes, 0, bytes.length);
    const { objects } = fromBinary(StreamObjectsResponseSchema, writer.take());
    const metadata = JSON.parse(String(sent?.['metadata'])) as JsonObject | null;
    expect(objects).toStrictEqual([rowMessage({ ...row, metadata })]);
  });
  await fc.assert(property, { numRuns: 300 });
});
