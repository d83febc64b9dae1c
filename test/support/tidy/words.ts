// Words and names that do not belong into a checkout: notes to oneself, paths of one machine,
// documents that the reader does not have.
import { posix } from 'node:path';
import { type FileRule, type SourceText, type Violation, violationsByLine } from './source.js';

// Written so that this file does not find itself.
const note = /\bTO[D]O\b|\bFIX[M]E\b|\bXX[X]\b/;
const machinePath =
  /(?<![\w./-])\/(?:root|work|home\/\w+|Users\/\w+)(?:\/|\b(?![\w./-]))|[A-Z]:\\Users\\/;

/** No notes to oneself. */
export const noNotes: FileRule = (file) =>
  violationsByLine(file, (line) =>
    note.test(line)
      ? 'a note to yourself: do it, open an issue, or say in a sentence what the limit is'
      : undefined,
  );

/** No path that exists on one machine only. */
export const noMachinePaths: FileRule = (file) =>
  violationsByLine(file, (line) =>
    machinePath.test(line)
      ? 'a path of one machine: use one relative to the file, or a temporary folder'
      : undefined,
  );

/** A document in capitals, such as a README, that is cited is also there. */
export function citedDocuments(files: readonly SourceText[]): Violation[] {
  const known = new Set(files.map(({ path }) => posix.basename(path)));
  return files.flatMap((file) =>
    violationsByLine(file, (line) => {
      const names = [...line.matchAll(/\b[A-Z][A-Z-]{3,}\.md\b/g)].map(([name]) => name);
      const missing = names.find((name) => !known.has(name));
      const section = /\b[A-Z]{4,} section \d/.exec(line)?.[0];
      const cited = missing ?? section;
      return cited === undefined
        ? undefined
        : `cites "${cited}", which is not in this repository: say what it says`;
    }),
  );
}

/** Every direct dependency is named by a page that says why it is here. */
export function decidedDependencies(files: readonly SourceText[]): Violation[] {
  const manifest = files.find(({ path }) => path === 'package.json');
  if (manifest === undefined) return [];
  const pages = files.filter(({ path }) => path.startsWith('docs/decisions/'));
  const decided = new Set(
    pages.flatMap(({ text }) =>
      [...text.matchAll(/`(@?[a-z][\w./*-]+)`/g)].map(([, name]) => name),
    ),
  );
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(manifest.text);
  return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter((name) => !decided.has(name) && !decided.has(name.replace(/\/.*/, '/*')))
    .map((name) => ({
      path: manifest.path,
      line: 1,
      message: `${name} has no reason: say in docs/decisions what it is for and what was rejected`,
    }));
}
