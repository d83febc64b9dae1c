// What a test file may not do: wait by the clock, be left out, or have two tests of one name.
import ts from 'typescript';
import { type FileRule, nodesOf, type Violation, violationAt } from './source.js';

const isTestFile = (path: string): boolean => /^test\/.*\.ts$/.test(path);

/** Where the waits are made, and where load and faults have their own times, at random. */
const foldersWithClocks = ['test/support/', 'test/chaos/', 'test/mutants/'];

/** No waiting by the clock but there. */
export const noSleeps: FileRule = (file) => {
  if (!isTestFile(file.path) || foldersWithClocks.some((folder) => file.path.startsWith(folder)))
    return [];
  const message =
    'a test awaits a signal, never the clock: await an event or a state, or inject the clock ' +
    '(test/support has the waits)';
  return nodesOf(file).flatMap((node) => {
    const isTimer =
      ts.isIdentifier(node) && /^(?:setTimeout|setInterval|sleep|delay)$/.test(node.text);
    const isCalled =
      ts.isCallExpression(node.parent ?? node) && node.parent?.getChildAt(0) === node;
    const isModule = ts.isStringLiteral(node) && /^(?:node:)?timers\/promises$/.test(node.text);
    const isImported = isModule && ts.isImportDeclaration(node.parent);
    return (isTimer && isCalled) || isImported ? [violationAt(file, node, message)] : [];
  });
};

/** The root of a call such as `it.each(rows)('name', ...)`: `it`, `test` or `describe`. */
function runnerOf(expression: ts.Expression): string | undefined {
  if (ts.isIdentifier(expression)) {
    return /^(?:it|test|describe)$/.test(expression.text) ? expression.text : undefined;
  }
  if (ts.isPropertyAccessExpression(expression) || ts.isCallExpression(expression)) {
    return runnerOf(expression.expression);
  }
  return undefined;
}

/** No test is left out, alone, or promised. */
export const noneLeftOut: FileRule = (file) => {
  if (!isTestFile(file.path)) return [];
  return nodesOf(file).flatMap((node) => {
    if (!ts.isPropertyAccessExpression(node)) return [];
    if (!/^(?:only|skip|todo)$/.test(node.name.text)) return [];
    if (runnerOf(node.expression) === undefined) return [];
    const message = `.${node.name.text}: every test that is written runs; delete it or mend it`;
    return [violationAt(file, node, message)];
  });
};

function nameOf(call: ts.CallExpression): string | undefined {
  const [name] = call.arguments;
  const isNamed = name !== undefined && ts.isStringLiteralLike(name);
  return isNamed && runnerOf(call.expression) !== undefined ? name.text : undefined;
}

/** The names of the groups around a call, outermost first. */
function groupsOf(call: ts.CallExpression): string[] {
  const groups: string[] = [];
  for (let node: ts.Node = call.parent; node !== undefined; node = node.parent) {
    if (ts.isCallExpression(node)) groups.unshift(nameOf(node) ?? '');
  }
  return groups.filter((group) => group !== '');
}

/** No two tests of a file have the same name in the same groups. */
export const uniqueNames: FileRule = (file) => {
  if (!isTestFile(file.path)) return [];
  const seen = new Set<string>();
  return nodesOf(file).flatMap((node): Violation[] => {
    if (!ts.isCallExpression(node) || runnerOf(node.expression) === 'describe') return [];
    const name = nameOf(node);
    if (name === undefined) return [];
    const path = [...groupsOf(node), name].join(' > ');
    if (!seen.has(path)) {
      seen.add(path);
      return [];
    }
    return [violationAt(file, node, `a second test named "${path}": say what differs`)];
  });
};
