/** Which project a call is of and which token an answer has, by the descriptors of its method. */

import { type DescMessage, type DescMethod, type Message, ScalarType } from '@bufbuild/protobuf';

type Fields = Readonly<Record<string, unknown>>;

/** What the client knows of a method's messages. */
export interface MethodScope {
  /** The project of a request; undefined where the method is of no project. */
  projectOf(request: Message): string | undefined;
  /** Whether the request leaves it to the client how fresh the answer must be. */
  isOpen(request: Message): boolean;
  /** The freshness token in an answer; empty where there is none. */
  tokenOf(response: Message): string;
}

const scopes = new WeakMap<DescMethod, MethodScope>();

/** The scope of a method, made once. */
export function scopeOf(method: DescMethod): MethodScope {
  let scope = scopes.get(method);
  if (scope === undefined) {
    scope = compile(method);
    scopes.set(method, scope);
  }
  return scope;
}

function compile({ input, output }: DescMethod): MethodScope {
  const isRead = input.field['freshness'] !== undefined;
  return {
    projectOf: projectReader(input),
    // A mutation is the primary's, which has everything: no token makes it wait for more.
    isOpen: (request) => isRead && !hasDemand((request as Message & Fields)['freshness']),
    tokenOf: tokenReader(output),
  };
}

function hasDemand(freshness: unknown): boolean {
  const { demand } = (freshness ?? {}) as { readonly demand?: { readonly case?: string } };
  return demand?.case !== undefined;
}

function projectReader(input: DescMessage): MethodScope['projectOf'] {
  const field = input.field['project'];
  if (field?.scalar === ScalarType.STRING) return (request) => projectIn(request);
  // A project that is itself made or changed is a message with its id in it.
  if (field?.message !== undefined) {
    return (request) => projectIn((request as Message & Fields)['project']);
  }
  return () => undefined;
}

function projectIn(message: unknown): string {
  const { project } = (message ?? {}) as { readonly project?: string };
  return project || 'default';
}

function tokenReader(output: DescMessage): MethodScope['tokenOf'] {
  if (output.field['token']?.scalar === ScalarType.STRING) return tokenIn;
  if (output.field['summary']?.message?.field['token'] !== undefined) {
    return (response) => tokenIn((response as Message & Fields)['summary']);
  }
  return () => '';
}

function tokenIn(message: unknown): string {
  const { token } = (message ?? {}) as { readonly token?: string };
  return token ?? '';
}
