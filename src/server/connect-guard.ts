/**
 * Who may call door 2 from a browser. A page of a foreign site must not reach a service that trusts
 * its network: neither by a name that was rebound to our address, nor across origins.
 */

import { cors } from '@connectrpc/connect';
import { isLoopback, type ServerSettings } from '../config.js';

/** What a request says of itself. */
export interface RequestHeaders {
  /** `Host` or `:authority`, with its port. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The address of ours that the connection came in at. */
  readonly localAddress: string | undefined;
}

/** What to do with a request. */
export type Verdict =
  | { readonly kind: 'foreign_host' | 'foreign_origin'; readonly message: string }
  | { readonly kind: 'allowed'; readonly corsHeaders: Readonly<Record<string, string>> };

/** What the guard needs of the settings. */
export type GuardSettings = Pick<ServerSettings, 'httpAddress' | 'allowedHosts' | 'allowedOrigins'>;

const ownRequestHeaders = ['Authorization', 'Stowage-Token', 'X-Request-Id'];
const ownResponseHeaders = ['Stowage-Token', 'Stowage-Served-By', 'X-Request-Id'];

/** Headers of the answer to a preflight, beside those of the origin. */
export const preflightHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-methods': cors.allowedMethods.join(', '),
  'access-control-allow-headers': [...cors.allowedHeaders, ...ownRequestHeaders].join(', '),
  'access-control-max-age': '7200',
};

/** Judges a request by its Host and its Origin. */
export function judge(settings: GuardSettings, headers: RequestHeaders): Verdict {
  const hostName = nameOf(headers.host);
  if (hostName === undefined || !isOwnHost(settings, hostName, headers.localAddress)) {
    const message =
      `this server does not answer to the host ${headers.host ?? '(none)'}; ` +
      'add its name to STOWAGE_ALLOWED_HOSTS';
    return { kind: 'foreign_host', message };
  }
  const { origin } = headers;
  if (origin === undefined || isSameOrigin(origin, headers.host)) {
    return { kind: 'allowed', corsHeaders: {} };
  }
  const { allowedOrigins } = settings;
  if (!allowedOrigins.includes('*') && !allowedOrigins.includes(origin.toLowerCase())) {
    const message = `pages of ${origin} may not call; add it to STOWAGE_ALLOWED_ORIGINS`;
    return { kind: 'foreign_origin', message };
  }
  return {
    kind: 'allowed',
    corsHeaders: {
      'access-control-allow-origin': origin,
      'access-control-expose-headers': [...cors.exposedHeaders, ...ownResponseHeaders].join(', '),
      vary: 'Origin',
    },
  };
}

/** The name in lower case, without port and brackets. */
function nameOf(host: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function isOwnHost(
  settings: GuardSettings,
  name: string,
  localAddress: string | undefined,
): boolean {
  return (
    isLoopback(name) ||
    name === settings.httpAddress.host.toLowerCase() ||
    // Where every address is listened on, the one that was called is meant.
    name === localAddress?.replace(/^::ffff:/, '') ||
    settings.allowedHosts.includes(name) ||
    settings.allowedHosts.includes('*')
  );
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}
