/** Headers of Connect and metadata of grpc-js, each as the other; statuses as errors of Connect. */

import { fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';

/** What grpc-js writes itself. */
const protocolHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-type',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  'host',
  'te',
  'user-agent',
]);

const statusDetails = 'grpc-status-details-bin';

/**
 * Headers as metadata; those of the protocol are left out.
 *
 * @throws {ConnectError} InvalidArgument for a value that gRPC cannot carry
 */
export function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headers) {
    if (protocolHeaders.has(name)) continue;
    try {
      if (!name.endsWith('-bin')) metadata.add(name, value);
      // Several values of one name are one text here, with commas, which base64 has none of.
      else for (const item of value.split(',')) metadata.add(name, Buffer.from(item, 'base64'));
    } catch {
      // The error of grpc-js shows the value, which may be a secret.
      const message = `header ${name} has a character that gRPC cannot carry`;
      throw new ConnectError(message, Code.InvalidArgument);
    }
  }
  return metadata;
}

/** Adds metadata to headers; binary values become base64 without padding, as Connect has them. */
export function addTo(headers: Headers, metadata: Metadata): void {
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) {
      const text = typeof value === 'string' ? value : value.toString('base64').replace(/=+$/, '');
      headers.append(name, text);
    }
  }
}

/** A status that is not OK as an error, with its details and its trailers. */
export function toConnectError({ code, details, metadata }: StatusObject): ConnectError {
  const trailers = new Headers();
  addTo(trailers, metadata);
  // Codes have one numbering; what is none of them is as good as unknown.
  const known: Code = code in Code ? (code as number) : Code.Unknown;
  const status = statusOf(metadata);
  const error = new ConnectError(status?.message || inWords(details), known, trailers);
  error.details = (status?.details ?? []).map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
    value,
  }));
  return error;
}

/** grpc-js's report of failed attempts, cut to the last one's cause. For people only. */
function inWords(details: string): string {
  const cause = details.split('Last error: ').at(-1) ?? '';
  if (cause === details) return details;
  const words = cause.replace(/\.? Resolution note: .*$/s, '').replace(/ \(\d{4}-[^)]*Z\)$/, '');
  return words.replace(/^Error: /, '');
}

function statusOf(metadata: Metadata) {
  const [bytes] = metadata.get(statusDetails);
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    // The code and the message still stand without the details.
    return undefined;
  }
}
