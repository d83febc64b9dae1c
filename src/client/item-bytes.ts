/**
 * The bytes of a stream's items as they came, for its checksums: a message that is encoded anew
 * need not have the same ones. It checks nothing: only who puts a stream together again knows what
 * all its parts come to.
 */

import type { DescMessage, Message } from '@bufbuild/protobuf';

const kept = new WeakMap<Message, Uint8Array>();

/** Where the bytes of the items end: they stand first, in field 1. */
function endOfItems(bytes: Uint8Array): number {
  const itemsTag = 0x0a;
  let end = 0;
  while (bytes[end] === itemsTag) {
    let length = 0;
    let shift = 1;
    let at = end + 1;
    for (; (bytes[at] ?? 0) >= 0x80; at += 1) {
      length += ((bytes[at] ?? 0) & 0x7f) * shift;
      shift *= 128;
    }
    end = at + 1 + length + (bytes[at] ?? 0) * shift;
  }
  return end;
}

/** Keeps the bytes of a message's items as long as the message lives, where it has a checksum. */
export function keepItemBytes(output: DescMessage, message: Message, bytes: Uint8Array): void {
  if (output.field['crc32'] === undefined) return;
  kept.set(message, bytes.subarray(0, endOfItems(bytes)));
}

/**
 * The bytes that a part's `crc32` is of, in the order of the parts those of the summary's; empty
 * for what came over another transport.
 */
export function itemBytesOf(message: Message): Uint8Array {
  return kept.get(message) ?? new Uint8Array();
}
