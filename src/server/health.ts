/**
 * grpc.health.v1 as an ordinary service: the server as a whole, each of its services, and
 * `stowage.read` and `stowage.write`, which tell "writes are down, reads serve".
 */

import { Code } from '../../gen/google/rpc/code_pb.js';
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/grpc/health/v1/health_pb.js';
import { StowageError } from '../errors.js';
import {
  type CallContext,
  defineService,
  type Handlers,
  type ServiceDefinition,
} from '../services/handler.js';

/** Who knows what the database can do; made over the router's topology. */
export interface HealthSource {
  canRead(): boolean;
  canWrite(): boolean;
  /** Calls the listener after each change. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

/** Health's own protocol demands NOT_FOUND, for which no reason of the table stands. */
class UnknownServiceError extends StowageError {
  override get code(): Code {
    return Code.NOT_FOUND;
  }
}

/** The server's health: what the source says, and nothing once it drains. */
export class Health {
  readonly #source: HealthSource;
  readonly #readNames: ReadonlySet<string>;
  readonly #listeners = new Set<() => void>();
  readonly #stopSource: () => void;
  #isDraining = false;

  /** `serviceNames` are the services whose health is asked for by name: they serve with reads. */
  constructor(source: HealthSource, serviceNames: readonly string[]) {
    this.#source = source;
    this.#readNames = new Set(['', 'stowage.read', ...serviceNames]);
    this.#stopSource = source.onChange(() => this.#notify());
  }

  get canRead(): boolean {
    return !this.#isDraining && this.#source.canRead();
  }

  get canWrite(): boolean {
    return !this.#isDraining && this.#source.canWrite();
  }

  /** Everything is NOT_SERVING from here on; watchers are told so and sent elsewhere. */
  drain(): void {
    this.#isDraining = true;
    this.#stopSource();
    this.#notify();
  }

  /** grpc.health.v1.Health over this state. */
  service(): ServiceDefinition {
    return defineService(HealthService, {
      check: ({ service }) => {
        const status = this.#statusOf(service);
        if (status === undefined) {
          throw new UnknownServiceError('INVALID_REQUEST', {
            message: `no service is named ${service}`,
            violations: [{ field: 'service', description: 'names no service of this server' }],
          });
        }
        return { status };
      },
      list: () => ({
        statuses: Object.fromEntries(
          [...this.#readNames, 'stowage.write'].map((name) => [
            name,
            { status: this.#statusOf(name) ?? Status.SERVICE_UNKNOWN },
          ]),
        ),
      }),
      watch: ({ service }, context) => this.#watch(service, context),
    } satisfies Handlers<typeof HealthService>);
  }

  async *#watch(service: string, context: CallContext) {
    let wake: (() => void) | undefined;
    const listener = () => wake?.();
    this.#listeners.add(listener);
    context.signal.addEventListener('abort', listener);
    try {
      for (let last: Status | undefined; ; ) {
        // Made before the status is read, so that no change falls between.
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const status = this.#statusOf(service) ?? Status.SERVICE_UNKNOWN;
        if (status !== last) {
          last = status;
          yield { status };
        }
        if (this.#isDraining) {
          throw new StowageError('DRAINING');
        }
        await changed;
        context.signal.throwIfAborted();
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  #statusOf(service: string): Status | undefined {
    const isWrite = service === 'stowage.write';
    if (!isWrite && !this.#readNames.has(service)) {
      return undefined;
    }
    return (isWrite ? this.canWrite : this.canRead) ? Status.SERVING : Status.NOT_SERVING;
  }

  #notify(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }
}
