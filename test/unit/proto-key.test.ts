// The map key that protobuf-es would lose: looked for in bytes, named by its place, and refused at
// both doors however it is written.
import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { type Struct, StructSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import {
  BatchRecordObjectsRequestSchema,
  RecordObjectRequestSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { protoKeyPath } from '../../src/server/proto-key.js';
import { type Doors, openDoors } from '../support/doors.js';

const recordObject = '/stowage.v1.StorageService/RecordObject';

/** What protobuf-es cannot write either: a key of the same length is put in its place. */
function poisoned(bytes: Uint8Array): Buffer {
  const buffer = Buffer.from(bytes);
  for (let at = buffer.indexOf('__PROTO__'); at >= 0; at = buffer.indexOf('__PROTO__')) {
    buffer.write('__proto__', at);
  }
  return buffer;
}

function recording(metadata: JsonObject): Buffer {
  const object = { objectKey: 'a', storageBackend: 's3', metadata };
  const request = create(RecordObjectRequestSchema, { object });
  return poisoned(toBinary(RecordObjectRequestSchema, request));
}

describe('protoKeyPath', () => {
  it.each<[JsonObject, string]>([
    [{ before: 1, __PROTO__: 1 }, 'object.metadata'],
    [{ __PROTO__: { a: 1 } }, 'object.metadata'],
    [{ a: { b: { __PROTO__: null } } }, 'object.metadata.a.b'],
    [{ a: [1, [{}, { __PROTO__: [] }]] }, 'object.metadata.a[1][1]'],
  ])('finds the key in %j', (metadata, path) => {
    expect(protoKeyPath(RecordObjectRequestSchema, recording(metadata))).toBe(path);
  });

  it('counts the messages of a list', () => {
    const requests = [{}, { object: { metadata: { __PROTO__: 1 } } }];
    const request = create(BatchRecordObjectsRequestSchema, { requests });
    const bytes = poisoned(toBinary(BatchRecordObjectsRequestSchema, request));
    expect(protoKeyPath(BatchRecordObjectsRequestSchema, bytes)).toBe(
      'requests[1].object.metadata',
    );
  });

  it('leaves the same text alone where it is no key', () => {
    const request = create(GetObjectRequestSchema, { objectKey: '__proto__' });
    expect(protoKeyPath(GetObjectRequestSchema, toBinary(GetObjectRequestSchema, request))).toBe(
      undefined,
    );
    const metadata = { a: '__proto__', b: '\n\t__proto__', __proto: ['__proto__'] };
    expect(protoKeyPath(RecordObjectRequestSchema, recording(metadata))).toBe(undefined);
  });

  it('is needed, for protobuf-es loses the key', () => {
    const bytes = poisoned(
      toBinary(StructSchema, create(StructSchema, { fields: { __PROTO__: {}, a: {} } })),
    );
    const struct: Struct = fromBinary(StructSchema, bytes);
    expect(Object.keys(struct.fields)).toEqual(['a']);
  });
});

describe('both doors', () => {
  let doors: Doors;

  beforeAll(async () => {
    doors = await openDoors();
  });

  afterAll(async () => {
    await doors.close();
  });

  const expected = /object\.metadata\.deep: must not have the key __proto__/;
  const bytes = recording({ deep: { __PROTO__: { a: 1 } } });

  async function send(contentType: string, body: string | Buffer): Promise<string> {
    const url = doors.httpUrl + recordObject;
    const headers = { 'content-type': contentType };
    const answer = await fetch(url, { method: 'POST', headers, body });
    return decodeURIComponent(await answer.text());
  }

  it('refuse the key in gRPC', async () => {
    const address = `127.0.0.1:${doors.grpc.address.port}`;
    const client = new Client(address, credentials.createInsecure());
    const same = (message: Buffer) => message;
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(recordObject, same, same, bytes, resolve);
    });
    client.close();
    expect(error?.code).toBe(3);
    expect(error?.details).toMatch(expected);
  });

  it('refuse the key in Connect protobuf and gRPC-Web', async () => {
    expect(await send('application/proto', bytes)).toMatch(expected);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    const framed = Buffer.concat([head, bytes]);
    expect(await send('application/grpc-web+proto', framed)).toMatch(expected);
  });

  it.each(['__proto__', '\\u005f_proto__', '__pr\\u006Fto_\\u005F', '\\u005F\\u005fpro\\u0074o__'])(
    'refuse the key in JSON written as %s',
    async (key) => {
      const metadata = `{"deep":{"${key}":1}}`;
      const json = `{"object":{"objectKey":"a","storageBackend":"s3","metadata":${metadata}}}`;
      expect(await send('application/json', json)).toMatch(expected);
    },
  );

  it('take the same text where it is no key', async () => {
    const object = { objectKey: '__proto__', storageBackend: 's3', metadata: { a: '__proto__' } };
    expect(JSON.parse(await send('application/json', JSON.stringify({ object })))).toMatchObject({
      object,
    });
  });
});
