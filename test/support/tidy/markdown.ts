// Pages: one title each, and links between them that lead somewhere.
import { posix } from 'node:path';
import type { FileRule, SourceText, Violation } from './source.js';

interface Line {
  readonly text: string;
  readonly number: number;
}

/** The lines outside fenced code. */
function proseOf(file: SourceText): Line[] {
  let fence: string | undefined;
  return file.text.split('\n').flatMap((text, index) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(text)?.[1];
    if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      return [];
    }
    return fence === undefined ? [{ text, number: index + 1 }] : [];
  });
}

/** Exactly one `#` title, and it is the first line. */
export const oneTitle: FileRule = (file) => {
  if (!file.path.endsWith('.md')) return [];
  const titles = proseOf(file).filter(({ text }) => /^# \S/.test(text));
  if (titles.length === 1 && titles[0]?.number === 1) return [];
  const line = titles[1]?.number ?? 1;
  const message = `${titles.length} "#" titles: a page has one, on its first line; use "##" below`;
  return [{ path: file.path, line, message }];
};

/** The anchors of a page, as forges make them from its headings. */
function anchorsOf(file: SourceText): Set<string> {
  return new Set(
    proseOf(file)
      .map(({ text }) => /^#{1,6} (.*)$/.exec(text)?.[1])
      .filter((heading) => heading !== undefined)
      .map((heading) =>
        heading
          .toLowerCase()
          .replace(/[^\p{Letter}\p{Number}\s_-]/gu, '')
          .trim()
          .replace(/\s/g, '-'),
      ),
  );
}

/**
 * Relative links lead to a file, and to a heading where they name one.
 *
 * @param exists whether a path from the root is a file or a folder of the checkout.
 */
export function relativeLinks(
  files: readonly SourceText[],
  exists: (path: string) => boolean,
): Violation[] {
  const pages = new Map(files.map((file) => [file.path, file]));
  const judge = (from: SourceText, link: string): string | undefined => {
    if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
    const [target = '', anchor] = link.split('#');
    const path = target === '' ? from.path : posix.join(posix.dirname(from.path), target);
    if (path.startsWith('..')) return `${link} leads out of the repository`;
    if (!exists(path)) return `${link} leads to no file: mend the link or write the page`;
    const page = pages.get(path);
    if (anchor === undefined || page === undefined || anchorsOf(page).has(anchor)) return undefined;
    return `${link} leads to no heading of ${path}`;
  };
  return files
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap((file) =>
      proseOf(file).flatMap(({ text, number }) =>
        [...text.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
          .map(([, link = '']) => judge(file, link))
          .filter((message) => message !== undefined)
          .map((message) => ({ path: file.path, line: number, message })),
      ),
    );
}
