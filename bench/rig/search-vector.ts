/** The words of an object as `stowage_search_vector` gives them, as COPY reads them. */

import { wordsOf } from '../../src/store/search-words.js';
import type { IngestedObject } from './ingested-objects.js';

/** A tsvector as text: each word with its places and weights. */
export function searchVector({ key, metadata, contentType }: IngestedObject): string {
  const places = new Map<string, string[]>();
  let place = 0;
  const add = (text: string, weight: string) => {
    for (const { word } of wordsOf(text)) {
      place += 1;
      places.set(word, [...(places.get(word) ?? []), `${place}${weight}`]);
    }
  };
  add(key, 'A');
  add(Object.values(metadata).join(' '), 'B');
  add(contentType, 'C');
  return Array.from(places, ([word, at]) => `'${word}':${at.join(',')}`).join(' ');
}
