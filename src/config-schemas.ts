/** How the text of a setting becomes its value; messages never repeat what was given. */

import { z } from 'zod';

/** Where a door listens. */
export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

/** A whole number within bounds, both included. */
export const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be ${min} to ${max}`);

/** `true` or `false`. */
export const flag = z
  .enum(['true', 'false'], 'must be true or false')
  .transform((v) => v === 'true');

/** Runs a parser that throws sentences. */
export function parsed<T>(parse: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
}

/** `host:port`, IPv6 hosts in brackets. */
export const address = parsed((text): Address => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new Error('must be host:port or [ipv6]:port');
  }
  return { host, port };
});

/** Names between commas, in lower case. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== ''),
);

/** A key of AES-256: 32 bytes in Base64. */
export const secretsKey = parsed((text): Uint8Array => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text) {
    throw new Error('must be 32 bytes in Base64, as `openssl rand -base64 32` gives');
  }
  return bytes;
});

/** A share, 0 to 1. */
export const ratio = z
  .string()
  .regex(/^\d{1,3}(?:\.\d{1,9})?$/, 'must be a number')
  .transform(Number)
  .refine((value) => value >= 0 && value <= 1, 'must be 0 to 1');

/** The base URL of an HTTP server; one with a password would show it wherever it is shown. */
export const httpUrl = parsed((text): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search + url.hash !== '') {
    throw new Error('must be http://host:port or https://host:port');
  }
  if (url.username + url.password !== '') {
    throw new Error('must name no user: what authenticates goes into OTEL_EXPORTER_OTLP_HEADERS');
  }
  return url.href;
});

/** As the OpenTelemetry specification writes them: W3C Baggage without properties. */
export const headers = parsed((text): Readonly<Record<string, string>> => {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', ...rest] = pair.split('=');
      if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name.trim()) || rest.length === 0) {
        throw new Error('must be name=value pairs, separated by commas');
      }
      return [name.trim().toLowerCase(), headerValue(rest.join('=').trim())];
    }),
  );
});

const visible = /^(?:[\x20-\x24\x26-\x7e]|%(?:[2-6][0-9a-f]|7[0-9a-e]))*$/i;

/** Others would be refused with each request, rather than once and at the start. */
function headerValue(encoded: string): string {
  if (!visible.test(encoded)) {
    throw new Error('must have values of visible characters, percent-encoded');
  }
  return decodeURIComponent(encoded);
}

/** A bearer token. */
export const token = z
  .string()
  .regex(/^[\x21-\x7e]{32,1024}$/, 'must be 32 to 1024 visible characters');

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Every mistake of the environment in one message that repeats no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`settings are wrong:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}
