// The contract as a whole: no RPC without a promise about repeating it, no request field without a
// bound, and no RPC that nothing tests.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DescField,
  type DescMessage,
  type DescService,
  getOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { type FieldRules, field as fieldOption } from '../gen/buf/validate/validate_pb.js';
import { AdminService } from '../gen/stowage/v1/admin_service_pb.js';
import { AuditService } from '../gen/stowage/v1/audit_service_pb.js';
import { ClusterService } from '../gen/stowage/v1/cluster_service_pb.js';
import { HookService } from '../gen/stowage/v1/hook_service_pb.js';
import { ProjectService } from '../gen/stowage/v1/project_service_pb.js';
import { StorageService } from '../gen/stowage/v1/storage_service_pb.js';
import { VersionService } from '../gen/stowage/v1/version_service_pb.js';

const services: readonly DescService[] = [
  StorageService,
  VersionService,
  AuditService,
  HookService,
  ProjectService,
  ClusterService,
  AdminService,
];
const methods = services.flatMap((service) => service.methods);

/**
 * What touches no data: it is of the answering server's memory, of every server's topology, or of
 * PostgreSQL below the data.
 */
const ofTopology = new Set(['getTopology', 'watchTopology', 'getHealth', 'acceptTimeline']);
const ofData = methods.filter(
  ({ parent, localName }) => parent !== AdminService && !ofTopology.has(localName),
);

/** What is appended has a key of its own, its id and time, by which it is kept once. */
const keyed = new Set([
  'appendEvent',
  'appendEvents',
  'ingestEvents',
  'logExecution',
  'logExecutions',
]);
/** What works on the rows of all projects and can be repeated as it is. */
const ofAll = new Set(['applyRetention', 'verifySeals']);

/** Every message that a request can hold, the request itself included. */
function messagesOf(root: DescMessage, found = new Set<DescMessage>()): Set<DescMessage> {
  if (found.has(root) || !root.typeName.startsWith('stowage.')) return found;
  found.add(root);
  for (const field of root.fields) {
    if (field.message !== undefined) messagesOf(field.message, found);
  }
  return found;
}

/** Fields of requests that the service ignores: their message's comment says "Output". */
const outputs = new Set([
  'stowage.v1.StorageObject.id',
  'stowage.v1.StorageObject.revision',
  'stowage.v1.Project.revision',
  'stowage.v1.ObjectVersion.restored_from',
  'stowage.v1.ObjectVersion.revision',
  'stowage.v1.Hook.revision',
]);

function hasBound(field: DescField): boolean {
  const rules: FieldRules = getOption(field, fieldOption);
  const { case: kind, value } = rules.type;
  if (field.fieldKind === 'list' || field.fieldKind === 'map') {
    return (kind === 'repeated' && value.maxItems > 0n) || (kind === 'map' && value.maxPairs > 0n);
  }
  if (field.fieldKind !== 'scalar') return true;
  switch (field.scalar) {
    case ScalarType.BOOL:
      return true;
    case ScalarType.STRING:
      return (
        kind === 'string' &&
        (value.maxBytes > 0n ||
          value.maxLen > 0n ||
          value.pattern !== '' ||
          value.wellKnown.case === 'uuid')
      );
    default:
      return kind !== undefined && kind !== 'any';
  }
}

/** The text of every test, this one left out; rows of tables of tests are in files of their own. */
function testTexts(): string {
  const root = import.meta.dirname;
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(?:\.test|-rows)\.ts$/.test(path) && path !== 'contract.test.ts')
    .map((path) => readFileSync(join(root, path), 'utf8'))
    .join('\n');
}

describe('contract', () => {
  it.each(methods.map((method) => [`${method.parent.name}/${method.name}`, method] as const))(
    '%s says whether it may be repeated',
    (_name, method) => {
      expect(method.idempotency).not.toBe(Idempotency.IDEMPOTENCY_UNKNOWN);
    },
  );

  it('bounds every field of every request', () => {
    const unbounded = methods
      .flatMap((method) => [...messagesOf(method.input)])
      .flatMap((message) => message.fields)
      .filter((field) => !hasBound(field) && !outputs.has(`${field.parent.typeName}.${field.name}`))
      .map((field) => `${field.parent.typeName}.${field.name}`);
    expect([...new Set(unbounded)]).toEqual([]);
  });

  it('sees a field without a bound', () => {
    const summary = StorageService.method.streamObjects.output.fields;
    expect(summary.filter((field) => !hasBound(field)).map((field) => field.name)).toContain(
      'resume_token',
    );
  });

  it('gives every mutation a request_id and a token', () => {
    const mutations = ofData.filter(
      ({ idempotency, localName }) =>
        idempotency === Idempotency.IDEMPOTENT && !keyed.has(localName) && !ofAll.has(localName),
    );
    expect(mutations.length).toBeGreaterThan(0);
    for (const { input, output } of mutations) {
      expect(input.fields.map((field) => field.name)).toContain('request_id');
      expect(output.fields.map((field) => field.name)).toContain('token');
    }
  });

  it('gives every read of one answer a freshness', () => {
    const reads = ofData.filter(
      ({ idempotency, localName }) =>
        idempotency === Idempotency.NO_SIDE_EFFECTS && !ofAll.has(localName),
    );
    for (const { input } of reads) {
      expect(input.fields.map((field) => field.message?.typeName)).toContain(
        'stowage.v1.Freshness',
      );
    }
  });

  it('has a test of every RPC', () => {
    const texts = testTexts();
    const untested = methods
      .map((method) => method.localName)
      .filter((name) => !texts.includes(`.${name}(`) && !texts.includes(`'${name}'`));
    expect(untested).toEqual([]);
  });
});
