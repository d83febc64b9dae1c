/** Where servers are: addresses as people write them, and the one target grpc-js connects to. */

import { isIPv4, isIPv6 } from 'node:net';

const portDefault = '50051';

/**
 * Completes an address to the URL of a server.
 *
 * @throws {TypeError} where the address is none, or has a path, a query or credentials
 */
export function parseAddress(address: string): URL {
  // Who has no types may hand over anything: null would become the host of this name.
  if (typeof address !== 'string') {
    throw new TypeError(`a server address is a text such as host:50051, not ${String(address)}`);
  }
  const isUrl = /^https?:\/\//.test(address);
  const text = isUrl ? address : `http://${address}`;
  // What stands before it may be a password: it is not repeated.
  if (text.includes('@')) throw new TypeError('a server address holds no user and no password');
  if (!URL.canParse(text)) throw new TypeError(`not a server address: ${address}`);
  // A URL takes it for a port that is left out.
  if (/:\/?$/.test(text)) throw new TypeError(`a port must follow the colon: ${address}`);
  const url = new URL(text);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new TypeError(`a server address has only a host and a port: ${address}`);
  }
  // A URL forgets a port that is its scheme's own, so `:80` must be looked for in the text.
  if (url.port === '' && !/:\d+\/?$/.test(text)) url.port = portDefault;
  return url;
}

/** What a channel is opened to. */
export interface Target {
  /** In grpc-js's form, such as `ipv4:10.0.0.1:50051,10.0.0.2:50051`. */
  readonly name: string;
  /** Whether there are several endpoints, to be used in turn. */
  readonly isList: boolean;
  /** Whether an endpoint asks for TLS by its scheme. */
  readonly isSecure: boolean;
}

/**
 * The target of one endpoint or several.
 *
 * @throws {TypeError} where one is no address, where `http:` and `https:` are mixed, or where
 * several are not IP addresses of one family: grpc-js takes no list of names
 */
export function targetOf(endpoints: readonly string[]): Target {
  const urls = endpoints.map(parseAddress);
  const [first] = urls;
  if (first === undefined) throw new TypeError('no endpoint is given');
  const isSecure = first.protocol === 'https:';
  if (urls.some(({ protocol }) => (protocol === 'https:') !== isSecure)) {
    throw new TypeError('endpoints are all plain text or all https:, not some of each');
  }
  const hosts = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ''));
  const places = urls.map((url) => `${url.hostname}:${portOf(url)}`).join(',');
  const isList = urls.length > 1;
  if (hosts.every(isIPv4)) return { name: `ipv4:${places}`, isList, isSecure };
  if (hosts.every(isIPv6)) return { name: `ipv6:${places}`, isList, isSecure };
  if (!isList) return { name: `dns:${places}`, isList, isSecure };
  throw new TypeError(
    'several endpoints must be IP addresses of one family; else give one name that stands for all',
  );
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80');
}
