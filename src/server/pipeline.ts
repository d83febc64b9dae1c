/**
 * The one way from a door to a handler and back, the same for both doors and all kinds of RPC:
 * enter the steps, run the handler, leave the steps, and let nothing out but StowageErrors.
 */

import type { DescMessage, DescMethod, Message } from '@bufbuild/protobuf';
import { StowageError } from '../errors.js';
import type { Answer, MethodDefinition } from '../services/handler.js';
import { Handover } from './handover.js';
import { type CallKind, type InboundCall, ServerCall } from './server-call.js';
import { toStowageError } from './status.js';
import { createSteps, kindOf, type Step, type StepSettings } from './steps.js';
import { decodeRequest } from './validation.js';

/** A request as a door has it: protobuf bytes, or a message where its codec made one. */
export type Input = Uint8Array | Message;

/** An answer of any method. */
export type AnyAnswer = Answer<DescMethod['output']>;

/** Makes of an answer what a door sends; a failure is a defect of the handler: INTERNAL. */
export type Encode<T> = (output: DescMessage, answer: AnyAnswer) => T;

/** What the pipeline needs of the settings. */
export type PipelineSettings = StepSettings & { readonly streamIdleTimeoutMs: number };

type Definition<Kind extends MethodDefinition['kind']> = Extract<
  MethodDefinition,
  { readonly kind: Kind }
>;

/** Runs calls. One for both doors, so that their bounds hold for both together. */
export class Pipeline {
  readonly #steps: readonly Step[];
  readonly #streamIdleTimeoutMs: number;
  readonly #calls = new Set<ServerCall>();
  #isClosed = false;
  #whenIdle: (() => void) | undefined;

  constructor(settings: PipelineSettings) {
    this.#steps = createSteps(settings);
    this.#streamIdleTimeoutMs = settings.streamIdleTimeoutMs;
  }

  /** The names of the steps, the outermost first. */
  get stepNames(): readonly string[] {
    return this.#steps.map((step) => step.name);
  }

  /** Calls that have not ended. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** The same by kind; counted when it is asked, for calls come far more often. */
  inFlightByKind(): Record<CallKind, number> {
    const counts = { unary: 0, stream: 0, health: 0 };
    for (const call of this.#calls) {
      counts[kindOf(call)] += 1;
    }
    return counts;
  }

  /** Begins a call. Its steps are entered by what runs it, so this never throws. */
  open(inbound: InboundCall): ServerCall {
    const call = new ServerCall(inbound);
    this.#calls.add(call);
    return call;
  }

  /** Runs a unary call to its end. @throws StowageError */
  async unary<T>(
    call: ServerCall,
    definition: Definition<'unary'>,
    input: Input,
    encode: Encode<T>,
  ): Promise<T> {
    call.isKnown = true;
    try {
      this.#enter(call);
      const request = this.#request(call, definition.method, input);
      const answer = definition.handler(request, call);
      const settled = isPromise(answer) ? await call.orAborted(answer) : answer;
      const encoded = encode(definition.method.output, settled);
      this.#finish(call, undefined);
      return encoded;
    } catch (thrown) {
      throw this.#fail(call, thrown);
    }
  }

  /**
   * Runs a server stream. The handler begins with the first `next()`, and is asked for a message
   * only when the door wants one. @throws StowageError from `next()`
   */
  stream<T>(
    call: ServerCall,
    definition: Definition<'server_streaming'>,
    input: Input,
    encode: Encode<T>,
  ): AsyncIterableIterator<T> {
    const begin = () => {
      const request = this.#request(call, definition.method, input);
      return definition.handler(request, call);
    };
    return this.#answers(call, begin, (answer) => encode(definition.method.output, answer));
  }

  /** Runs a bidi stream; each request is decoded and checked when the handler takes it. */
  bidi<T>(
    call: ServerCall,
    definition: Definition<'bidi_streaming'>,
    inputs: AsyncIterable<Input>,
    encode: Encode<T>,
  ): AsyncIterableIterator<T> {
    const begin = () => definition.handler(this.#requests(call, definition.method, inputs), call);
    return this.#answers(call, begin, (answer) => encode(definition.method.output, answer));
  }

  /** Ends a call that never reaches a handler. Returns the error with which it is answered. */
  refuse(call: ServerCall, thrown: unknown): StowageError {
    try {
      this.#enter(call);
    } catch (refusal) {
      return this.#fail(call, refusal);
    }
    return this.#fail(call, thrown);
  }

  /**
   * Waits until no call runs, for at most `graceMs`; the rest then end with DRAINING, as does every
   * call that still comes.
   */
  async drain(graceMs: number): Promise<void> {
    if (this.#calls.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#whenIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isClosed = true;
    for (const call of this.#calls) {
      call.abort(new StowageError('DRAINING'));
    }
  }

  #enter(call: ServerCall): void {
    // Aborted before it began: it has been left already, and what it entered would stay entered.
    if (call.isFinished) {
      throw call.signal.reason;
    }
    for (const step of this.#steps) {
      step.enter?.(call);
      call.stepsEntered += 1;
    }
    if (this.#isClosed) {
      throw new StowageError('DRAINING');
    }
  }

  #request(call: ServerCall, method: DescMethod, input: Input): Message {
    const message = input instanceof Uint8Array ? decodeRequest(method.input, input) : input;
    for (const step of this.#steps) {
      step.request?.(call, method.input, message);
    }
    return message;
  }

  async *#requests(call: ServerCall, method: DescMethod, inputs: AsyncIterable<Input>) {
    for await (const input of inputs) {
      yield this.#request(call, method, input);
    }
  }

  #finish(call: ServerCall, error: StowageError | undefined): void {
    if (call.isFinished) {
      return;
    }
    call.isFinished = true;
    for (let index = call.stepsEntered - 1; index >= 0; index -= 1) {
      this.#steps[index]?.leave?.(call, error);
    }
    this.#calls.delete(call);
    if (this.#calls.size === 0) {
      this.#whenIdle?.();
    }
  }

  #fail(call: ServerCall, thrown: unknown): StowageError {
    // What a handler throws once it is told to stop is a consequence: the reason is the abort's.
    const error = toStowageError(call.signal.aborted ? call.signal.reason : thrown);
    this.#finish(call, error);
    return error;
  }

  #answers<T>(
    call: ServerCall,
    begin: () => AsyncIterable<AnyAnswer>,
    encode: (answer: AnyAnswer) => T,
  ): AsyncIterableIterator<T> {
    call.isKnown = true;
    let handler: AsyncIterator<AnyAnswer> | undefined;
    const handover = new Handover(call, this.#streamIdleTimeoutMs);
    let isAsked = false;
    const end = (thrown: unknown): StowageError => {
      handover.end();
      abandon(handler);
      return this.#fail(call, thrown);
    };
    // While the door is busy sending nobody asks for a message, and an abort must not wait for it.
    call.signal.addEventListener('abort', () => {
      if (!isAsked) {
        end(call.signal.reason);
      }
    });
    const ask = async (): Promise<IteratorResult<T>> => {
      if (handler === undefined) {
        this.#enter(call);
        handler = begin()[Symbol.asyncIterator]();
      }
      const result = await call.orAborted(handler.next());
      if (result.done === true) {
        this.#finish(call, undefined);
        return { done: true, value: undefined };
      }
      const value = encode(result.value);
      handover.begin();
      return { done: false, value };
    };
    const next = async (): Promise<IteratorResult<T>> => {
      handover.end();
      isAsked = true;
      try {
        return await ask();
      } catch (thrown) {
        throw end(thrown);
      } finally {
        isAsked = false;
      }
    };
    const leave = async (): Promise<IteratorResult<T>> => {
      call.cancel();
      end(new StowageError('CANCELLED'));
      return { done: true, value: undefined };
    };
    return {
      next,
      return: leave,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

/**
 * Lets a handler's iterator run its `finally`. Not awaited: one that overlooks its signal must not
 * hold the caller. What it throws then is about a call that has ended already.
 */
function abandon(iterator: AsyncIterator<unknown> | undefined): void {
  iterator?.return?.().catch(() => undefined);
}

function isPromise<T extends object>(value: T | Promise<T>): value is Promise<T> {
  return 'then' in value && typeof value.then === 'function';
}
