/** Adds up what a stream of objects sends, through every resume, and finds what does not add up. */

import { crc32 } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type StreamObjectsResponse,
  StreamObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';

/** The tag of `objects`, the field that comes first. */
const OBJECTS_TAG = 0x0a;

/** One stream, from its first opening to its summary. */
export class StreamTally {
  /** What does not add up, in words. */
  readonly problems: string[] = [];
  /** Of the last message with one; empty before. */
  resumeToken = '';
  /** The summary's token, once it was there. */
  token: string | undefined;
  #items = 0;
  #bytes = 0;
  #crc32 = 0;
  #lastKey = '';

  /** Objects so far. */
  get items(): number {
    return this.#items;
  }

  /** Takes one message as it stands on the wire. */
  take(message: Buffer): StreamObjectsResponse {
    const response = fromBinary(StreamObjectsResponseSchema, message);
    const end = endOfObjects(message);
    const objects = message.subarray(0, end);
    if (response.objects.length > 0 && response.crc32 !== crc32(objects)) {
      this.#problem('the CRC of a message is another one');
    }
    for (const { objectKey } of response.objects) {
      if (
        this.#lastKey !== '' &&
        Buffer.compare(Buffer.from(this.#lastKey), Buffer.from(objectKey)) >= 0
      ) {
        this.#problem(`${objectKey} came behind ${this.#lastKey}`);
      }
      this.#lastKey = objectKey;
    }
    this.#items += response.objects.length;
    this.#bytes += end;
    this.#crc32 = crc32(objects, this.#crc32);
    if (response.resumeToken !== '') this.resumeToken = response.resumeToken;
    if (this.token !== undefined) this.#problem('a message came behind the summary');
    if (response.summary !== undefined) this.#close(response.summary);
    return response;
  }

  #close({ items, bytes, crc32: sum, token }: NonNullable<StreamObjectsResponse['summary']>): void {
    this.token = token;
    if (Number(items) !== this.#items) this.#problem(`${items} items in the summary`);
    if (Number(bytes) !== this.#bytes) this.#problem(`${bytes} bytes in the summary`);
    if (sum !== this.#crc32) this.#problem('the CRC of the summary is another one');
  }

  #problem(what: string): void {
    this.problems.push(`${what}, after ${this.#items} items of ${this.#bytes} bytes`);
  }
}

/** Where the objects of a message end: each is the tag, a length and as many bytes. */
function endOfObjects(message: Buffer): number {
  let at = 0;
  while (message[at] === OBJECTS_TAG) {
    let length = 0;
    let shift = 0;
    let byte = 0x80;
    for (at += 1; (byte & 0x80) !== 0; at += 1) {
      byte = message[at] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    }
    at += length;
  }
  return at;
}
