// Health and reflection, behind the pipeline, at both doors, and what a draining server says.
import { create, createFileRegistry, fromBinary, getOption, hasOption } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { field as fieldRules } from '../../gen/buf/validate/validate_pb.js';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/grpc/health/v1/health_pb.js';
import * as v1 from '../../gen/grpc/reflection/v1/reflection_pb.js';
import * as v1alpha from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { type Doors, openDoors, ways } from '../support/doors.js';

let doors: Doors;
let transport: Transport;
let disconnect: () => void;

const http2Ways = ways.filter(({ isHttp2 }) => isHttp2);

describe.each(http2Ways)('$name', (way) => {
  beforeEach(async () => {
    doors = await openDoors();
    ({ transport, close: disconnect } = way.open(doors));
  });

  afterEach(async () => {
    disconnect();
    await doors.close();
  });

  it('tells writes and reads apart', async () => {
    const health = createClient(Health, transport);
    doors.source.set(true, false);
    const of = async (service: string) => (await health.check({ service })).status;
    expect(await of('')).toBe(Status.SERVING);
    expect(await of('stowage.read')).toBe(Status.SERVING);
    expect(await of('stowage.write')).toBe(Status.NOT_SERVING);
    expect(await of('stowage.v1.StorageService')).toBe(Status.SERVING);
    const { statuses } = await health.list({});
    expect(Object.keys(statuses).sort()).toEqual([
      '',
      'stowage.read',
      'stowage.v1.StorageService',
      'stowage.write',
    ]);
  });

  it('answers Check of an unknown service NOT_FOUND and Watch SERVICE_UNKNOWN', async () => {
    const health = createClient(Health, transport);
    const error = await health.check({ service: 'nobody' }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.NotFound });
    for await (const { status } of health.watch({ service: 'nobody' })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });

  it('tells watchers of each change and sends them elsewhere when it drains', async () => {
    const health = createClient(Health, transport);
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({ service: 'stowage.write' })) {
        seen.push(status);
        if (seen.length === 1) doors.source.set(true, false);
        if (seen.length === 2) doors.source.set(true, true);
        if (seen.length === 3) doors.health.drain();
      }
    })();
    const error = await watching.catch(ConnectError.from);
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)[0]?.reason).toBe('DRAINING');
  });

  it('lets calls finish while it drains and ends the rest with DRAINING', async () => {
    const client = createClient(StorageService, transport);
    const hanging = client.getObject({ objectKey: 'hang' }).catch(ConnectError.from);
    await doors.seen.nextHanging();
    doors.health.drain();
    doors.grpc.stop();
    doors.connect.stop();
    // Whoever asks meanwhile, as a load balancer does, is told.
    const statuses = ['/readyz', '/livez'].map(async (path) => {
      const { status, headers } = await fetch(`${doors.httpUrl}${path}`);
      return [status, headers.get('connection')];
    });
    expect(await Promise.all(statuses)).toEqual([
      [503, 'close'],
      [200, 'close'],
    ]);
    await doors.pipeline.drain(100);
    const error = await hanging;
    expect((error as ConnectError).findDetails(ErrorInfoSchema)[0]?.reason).toBe('DRAINING');
    await Promise.all([doors.grpc.close(), doors.connect.close()]);
  });

  it.each([v1.ServerReflection, v1alpha.ServerReflection])(
    'describes itself by $typeName so that a registry can be made of it, options included',
    async (Reflection) => {
      const reflection = createClient(Reflection as typeof v1.ServerReflection, transport);
      async function* questions() {
        yield { messageRequest: { case: 'listServices' as const, value: '' } };
        yield {
          messageRequest: {
            case: 'fileContainingSymbol' as const,
            value: 'stowage.v1.StorageService.GetObject',
          },
        };
        yield { messageRequest: { case: 'fileContainingSymbol' as const, value: 'no.Such' } };
      }
      const answers = [];
      for await (const answer of reflection.serverReflectionInfo(questions())) {
        answers.push(answer.messageResponse);
      }
      const [services, files, unknown] = answers;
      expect(services).toMatchObject({
        value: {
          service: expect.arrayContaining([
            expect.objectContaining({ name: 'stowage.v1.StorageService' }),
            expect.objectContaining({ name: 'grpc.health.v1.Health' }),
            expect.objectContaining({ name: 'grpc.reflection.v1alpha.ServerReflection' }),
          ]),
        },
      });
      expect(unknown).toMatchObject({ case: 'errorResponse', value: { errorCode: 5 } });
      if (files?.case !== 'fileDescriptorResponse') throw new Error('no files');
      const file = files.value.fileDescriptorProto.map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      const registry = createFileRegistry(
        create(FileDescriptorSetSchema, { file: file.reverse() }),
      );
      const request = registry.getMessage('stowage.v1.GetObjectRequest');
      const key = request?.fields.find(({ name }) => name === 'object_key');
      if (key === undefined) throw new Error('no field');
      expect(hasOption(key, fieldRules)).toBe(true);
      expect(getOption(key, fieldRules).type).toMatchObject({
        case: 'string',
        value: { maxBytes: 1024n },
      });
    },
  );
});
