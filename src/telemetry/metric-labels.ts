/**
 * The labels of metrics, each with the set that its values are of. Every set is bounded by the
 * program or its settings: nothing that a caller sends becomes a value, and so no caller can make a
 * series. A principal, a project, a key, a request id or a user agent is never one.
 */

/** What a label says, and which values it has at most. */
interface Label {
  /** What it says, as the rest of "the ...". */
  readonly help: string;
  /** Its values, or where there are many, the set of them for a person. */
  readonly values: readonly string[] | string;
}

const nodeStates = [
  'unknown',
  'primary',
  'standby',
  'lagging',
  'draining',
  'unreachable',
  'fenced',
] as const;

/** Every label, by its OpenTelemetry name; Prometheus has underscores for the dots. */
export const labelTable = {
  'rpc.method': {
    help: 'RPC',
    values: 'each RPC as `stowage.v1.StorageService/GetObject`; `unknown` for what is none',
  },
  'rpc.response.status_code': {
    help: 'gRPC code of the answer, on both doors',
    values: 'the names of gRPC, `OK` to `UNAUTHENTICATED`',
  },
  'stowage.reason': {
    help: 'reason of a failure',
    values: 'those of [errors.md](errors.md); none where there was no failure',
  },
  'stowage.door': { help: 'door that a call came through', values: ['grpc', 'connect'] },
  'stowage.kind': { help: 'kind of a call', values: ['unary', 'stream', 'health'] },
  'stowage.statement': {
    help: 'statement',
    values:
      'those of [statements.md](statements.md), `transaction` for the whole of one, and ' +
      '`explain` for the plan of a slow one',
  },
  'error.type': {
    help: 'reason why a statement failed',
    values: 'those of [errors.md](errors.md); none where it did not',
  },
  'stowage.node': { help: 'node, as the settings name it', values: 'the nodes of the settings' },
  'stowage.pool': {
    help: 'pool of a node; `inspection` is the one connection for looks at the node itself',
    values: ['unary', 'streams', 'inspection'],
  },
  'db.client.connection.state': {
    help: 'state of a connection: whether a call has it',
    values: ['used', 'idle'],
  },
  'stowage.state': { help: 'state of a node ([router.md](router.md))', values: nodeStates },
  'stowage.from': { help: 'state that a node left', values: nodeStates },
  'stowage.to': { help: 'state that a node came to', values: nodeStates },
  'stowage.end': {
    help:
      'end of a commit in doubt: found as it was done; done again, for it had come to nothing; ' +
      'refused, for the same reason; or told to its caller as unknown',
    values: ['answered', 'repeated', 'refused', 'unknown'],
  },
  'stowage.job': { help: 'background job', values: 'the jobs of the program' },
  'stowage.outcome': {
    help: 'outcome of a job’s run, or of a reload, which has the first two',
    values: ['succeeded', 'failed', 'stopped', 'abandoned'],
  },
  'cpu.mode': { help: 'mode that processor time was spent in', values: ['user', 'system'] },
  'v8js.heap.space.name': { help: 'space of the heap', values: 'the spaces of V8, some ten' },
} as const satisfies Readonly<Record<string, Label>>;

/** The name of a label. */
export type LabelName = keyof typeof labelTable;

/** A value of a label. */
export type LabelValue<Name extends LabelName> =
  (typeof labelTable)[Name]['values'] extends readonly (infer Value)[] ? Value : string;
