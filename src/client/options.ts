/** What a client can be told about its connection, with every default in one place. */

import { Code, type Interceptor } from '@connectrpc/connect';
import { CallError } from './call-error.js';
import { type Target, targetOf } from './endpoints.js';

/** How a server proves who it is, and the client to it. PEM texts or their bytes. */
export interface TlsOptions {
  /** Certificates that are trusted in place of the machine's. */
  readonly ca?: string | Buffer;
  /** The client's own certificate chain, where the server asks for one. */
  readonly cert?: string | Buffer;
  /** The key of `cert`. */
  readonly key?: string | Buffer;
  /** The name that the server's certificate must have; default: the endpoint's host. */
  readonly serverName?: string;
}

/** Where to connect and how. */
export interface TransportOptions {
  /**
   * One server or several: `host`, `host:port`, `[v6]:port`, or a URL with `http:` (plain text) or
   * `https:`. The port is 50051 where none is given. Calls go round several, which must be IP
   * addresses of one family.
   */
  readonly endpoints: string | readonly string[];
  /** TLS, also where no endpoint says `https:`; default: as the endpoints say. */
  readonly tls?: true | TlsOptions;
  /**
   * Sent as `authorization: Bearer <token>` with every call; left out or empty: none is sent.
   * Without TLS whoever is on the way can read it.
   */
  readonly token?: string | undefined;
  /**
   * Deadline of a unary call that names none with `timeoutMs`, in milliseconds; default 10,000; 0:
   * none. Streams have none but their own.
   */
  readonly timeoutMs?: number;
  /**
   * Milliseconds that a stream may owe a message before it ends with an error; default 60,000. A
   * healthy stream says something every 5 s. 0: it may be silent for ever.
   */
  readonly streamIdleTimeoutMs?: number;
  /** Milliseconds between probes of a connection with calls on it; default 10,000. */
  readonly keepaliveIntervalMs?: number;
  /** Milliseconds a probe may stay unanswered before the connection is given up; default 5,000. */
  readonly keepaliveTimeoutMs?: number;
  /**
   * Interceptors of Connect, the outermost first. Request ids are set before them, so one of them
   * may repeat a call; credentials and tokens inside of them.
   */
  readonly interceptors?: readonly Interceptor[];
}

/** Options with nothing left open. */
export interface Settings {
  readonly target: Target;
  /** Undefined: plain text. */
  readonly tls: TlsOptions | undefined;
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly interceptors: readonly Interceptor[];
}

/** The longest that a timer of Node can wait. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Fills in what is left out.
 *
 * @throws {TypeError} where endpoints cannot be used, alone or together or with `tls`, or where no
 * header can carry the token
 * @throws {RangeError} where a time is none
 */
export function settingsOf(options: TransportOptions): Settings {
  const { endpoints, token, tls } = options;
  const list = listOf(endpoints);
  const target = targetOf(list);
  if (tls !== undefined && list.some((endpoint) => endpoint.startsWith('http://'))) {
    throw new TypeError('an endpoint asks for plain text with http:, and tls is set; drop one');
  }
  if (target.isList && (tls !== undefined || target.isSecure) && serverNameOf(tls) === undefined) {
    throw new TypeError('several endpoints with TLS need tls.serverName, which all of them prove');
  }
  // What would refuse it later shows it.
  if (token !== undefined && !/^[ -~]*$/.test(token)) {
    throw new TypeError('the token has a character that no header carries, such as a line break');
  }
  return {
    target,
    tls: tls === true || (tls === undefined && target.isSecure) ? {} : tls,
    token: token === '' ? undefined : token,
    timeoutMs: time(options, 'timeoutMs', 10_000, 0),
    streamIdleTimeoutMs: time(options, 'streamIdleTimeoutMs', 60_000, 0),
    keepaliveIntervalMs: time(options, 'keepaliveIntervalMs', 10_000, 1),
    keepaliveTimeoutMs: time(options, 'keepaliveTimeoutMs', 5_000, 1),
    interceptors: options.interceptors ?? [],
  };
}

/** Who has no types may hand over anything, a variable that is not set above all. */
function listOf(endpoints: unknown): readonly string[] {
  if (typeof endpoints === 'string') return [endpoints];
  // Each one is looked at where it is read.
  if (Array.isArray(endpoints)) return endpoints as string[];
  const rule = 'must be an address such as host:50051, or a list of them';
  throw new TypeError(`endpoints ${rule}, not ${String(endpoints)}`);
}

/**
 * The deadline of one call or wait, on the clock of `nowMs`; 0 is none. Less than that is not, as
 * in Connect's own transports: it is what is left of a time that has passed.
 *
 * @throws {CallError} InvalidArgument where the time is none
 */
export function deadlineIn(timeoutMs: number, nowMs: number): number {
  if (timeoutMs >= 0) return timeoutMs === 0 ? Number.POSITIVE_INFINITY : nowMs + timeoutMs;
  const message = `timeoutMs must be milliseconds, or 0 for no deadline, not ${timeoutMs}`;
  throw CallError.local(message, Code.InvalidArgument, 'never');
}

type TimeOption = {
  [Name in keyof TransportOptions]: Name extends `${string}Ms` ? Name : never;
}[keyof TransportOptions];

/** A time past what a timer can wait would fire at once. */
function time(
  options: TransportOptions,
  name: NonNullable<TimeOption>,
  standardMs: number,
  msMin: number,
): number {
  const ms = options[name] ?? standardMs;
  if (!(ms >= msMin && ms <= timerMsMax)) {
    throw new RangeError(`${name} must be from ${msMin} to ${timerMsMax} milliseconds, not ${ms}`);
  }
  return ms;
}

function serverNameOf(tls: true | TlsOptions | undefined): string | undefined {
  return tls === true ? undefined : tls?.serverName;
}
