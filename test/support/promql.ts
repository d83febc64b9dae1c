/**
 * What an expression of PromQL names: metrics, and the labels that are looked at beside them. A
 * word that it does not know is taken for a metric, so that whoever looks names up finds it.
 */

/** A metric of an expression with the labels that its selector compares. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** What an expression names. */
export interface Named {
  readonly selectors: readonly Selector[];
  /** Labels of `by`, `on` and the like. */
  readonly groupings: readonly string[];
}

const tokens = /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][\w:]*|\d[\w.]*|[^\s]/g;
const name = /^[a-zA-Z_:]/;
const groupings = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const operators = new Set(['and', 'or', 'unless', 'bool', 'offset']);
const aggregations = new Set(['sum', 'min', 'max', 'count', 'avg', 'topk']);

/** Takes an expression apart; that it is one, promtool tells. */
export function namesOf(expression: string): Named {
  const words: readonly string[] = expression.match(tokens) ?? [];
  const selectors: Selector[] = [];
  const grouped: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const next = words[at + 1];
    if (!name.test(word) || operators.has(word) || aggregations.has(word)) continue;
    if (groupings.has(word)) {
      if (next !== '(') continue;
      const end = words.indexOf(')', at);
      grouped.push(...words.slice(at + 2, end).filter((part) => name.test(part)));
      at = end;
    } else if (next !== '(') {
      const end = next === '{' ? words.indexOf('}', at) : at;
      const labels = words.slice(at + 1, end).filter((part) => name.test(part));
      selectors.push({ metric: word, labels });
      at = end;
    }
  }
  return { selectors, groupings: grouped };
}
