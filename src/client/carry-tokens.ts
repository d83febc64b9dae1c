/** Sends the newest token of a project with its reads, and takes the tokens of all answers. */

import type { DescMethodStreaming, Message } from '@bufbuild/protobuf';
import type { Interceptor, StreamResponse } from '@connectrpc/connect';
import { toStowageError } from './call-error.js';
import type { FreshnessTokens } from './freshness-tokens.js';
import { type MethodScope, scopeOf } from './request-scope.js';

const tokenHeader = 'stowage-token';

const refusals: ReadonlySet<string | undefined> = new Set([
  'TOKEN_FROM_OTHER_CLUSTER',
  'TOKEN_HISTORY_LOST',
  'TOKEN_MALFORMED',
]);

/** One call's part in the tokens. */
class Carrier {
  readonly #tokens: FreshnessTokens;
  readonly #scope: MethodScope;
  #project: string | undefined;
  #sent: string | undefined;

  constructor(tokens: FreshnessTokens, scope: MethodScope) {
    this.#tokens = tokens;
    this.#scope = scope;
  }

  /** Learns the project, and adds the token where the request leaves its freshness open. */
  request(message: Message, header: Headers): void {
    this.#project ??= this.#scope.projectOf(message);
    // A token that the caller sends itself stands alone.
    if (!this.#scope.isOpen(message) || header.has(tokenHeader)) return;
    this.#sent = this.#tokens.get(this.#project);
    if (this.#sent !== undefined) header.set(tokenHeader, this.#sent);
  }

  header(header: Headers): void {
    this.#tokens.saw(this.#project, header.get(tokenHeader) ?? '');
  }

  response(message: Message): void {
    this.#tokens.saw(this.#project, this.#scope.tokenOf(message));
  }

  failure(error: unknown): void {
    if (this.#sent === undefined || !refusals.has(toStowageError(error).reason)) return;
    this.#tokens.drop(this.#sent);
  }

  async *requests(messages: AsyncIterable<Message>, header: Headers): AsyncGenerator<Message> {
    for await (const message of messages) {
      this.request(message, header);
      yield message;
    }
  }

  async *responses(response: StreamResponse): AsyncGenerator<Message> {
    try {
      for await (const message of response.message) {
        this.response(message);
        yield message;
      }
    } catch (error) {
      this.failure(error);
      throw error;
    }
  }
}

/** The interceptor over the tokens of one client. */
export function carryTokens(tokens: FreshnessTokens): Interceptor {
  return (next) => async (given) => {
    // Headers of its own: whoever repeats the call would else send this attempt's token as theirs.
    const request = { ...given, header: new Headers(given.header) };
    const carrier = new Carrier(tokens, scopeOf(request.method));
    try {
      if (!request.stream) {
        carrier.request(request.message, request.header);
        const response = await next(request);
        carrier.header(response.header);
        if (!response.stream) carrier.response(response.message);
        return response;
      }
      const message = isSingle(request.method)
        ? await begun(carrier.requests(request.message, request.header))
        : carrier.requests(request.message, request.header);
      const response = await next({ ...request, message });
      carrier.header(response.header);
      return response.stream ? { ...response, message: carrier.responses(response) } : response;
    } catch (error) {
      carrier.failure(error);
      throw error;
    }
  };
}

function isSingle({ methodKind }: DescMethodStreaming): boolean {
  return methodKind === 'server_streaming';
}

/** The same messages with the first one read, which the headers are made of. */
async function begun(messages: AsyncGenerator<Message>): Promise<AsyncIterable<Message>> {
  const first = await messages.next();
  return (async function* () {
    if (first.done === true) return;
    yield first.value;
    yield* messages;
  })();
}
