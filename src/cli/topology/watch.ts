/** Shows the cluster until Ctrl-C: drawn in place, in lines, or as JSON. */

import { setTimeout as pause } from 'node:timers/promises';
import { toJson } from '@bufbuild/protobuf';
import {
  type Client,
  type ClusterService,
  toStowageError,
  type WatchTopologyResponse,
  WatchTopologyResponseSchema,
} from '../../client/index.js';
import { describeFailure } from '../connection.js';
import { jsonText, print, type Shell } from '../output.js';
import { createRetryNotes } from '../retry-notes.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { follow } from './follow.js';
import { Screen } from './screen.js';
import { topologyText, transitionLine } from './view.js';

type ClusterClient = Client<typeof ClusterService>;

/** What is watched and where it is shown. */
export interface Watch {
  readonly client: ClusterClient;
  /** As failures name it. */
  readonly server: string;
  readonly json: boolean;
  readonly shell: Shell;
}

/** Lags and pools change without a transition. */
const refreshMs = 1_000;

/** A server that takes longer is shown as one that does not answer. */
const refreshTimeoutMs = 3_000;

/** Watches until Ctrl-C. @throws CallError as `follow` does. */
export async function watchTopology(watch: Watch): Promise<void> {
  const { shell } = watch;
  const stop = stopOnSignal(() => {
    shell.exitCode = interruptedExitCode;
  });
  try {
    const isDrawn = shell.stdout.isTTY === true && !watch.json;
    await (isDrawn ? draw(watch, stop.signal) : list(watch, stop.signal));
  } finally {
    stop.release();
  }
}

/** One table, then a line a transition; what a lost server may have hidden is a table again. */
function list({ client, server, json, shell }: Watch, signal: AbortSignal): Promise<void> {
  const note = (sentence: string) => shell.stderr.write(`stowage topology: ${sentence}\n`);
  const textOf = (message: WatchTopologyResponse, isFirst: boolean): string => {
    if (json) return `${jsonText(toJson(WatchTopologyResponseSchema, message))}\n`;
    const { topology, transition } = message;
    if (transition !== undefined) return `${transitionLine(transition)}\n`;
    return isFirst && topology !== undefined ? topologyText(topology) : '';
  };
  return follow(client, {
    signal,
    onMessage: (message, isFirst) => print(shell.stdout, textOf(message, isFirst)),
    onRetry: createRetryNotes(server, note),
  });
}

async function draw({ client, server, shell }: Watch, signal: AbortSignal): Promise<void> {
  const screen = new Screen(shell.stdout);
  const watching = new AbortController();
  const refreshed = refresh(client, screen, watching.signal);
  try {
    await follow(client, {
      signal,
      onMessage: (message) => screen.show(message),
      onRetry: (error) =>
        screen.note(`${describeFailure(error, server)}; trying again`, isSilent(error)),
    });
  } finally {
    watching.abort();
    await refreshed;
    screen.close();
  }
}

/** Whether no word of the service is behind a failure. */
function isSilent(error: unknown): boolean {
  return toStowageError(error).reason === undefined;
}

/** Keeps the figures fresh between the messages of the watch; what fails only makes them old. */
async function refresh(client: ClusterClient, screen: Screen, signal: AbortSignal): Promise<void> {
  for (;;) {
    await pause(refreshMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const { shown } = screen;
    try {
      const answer = await client.getTopology({}, { signal, timeoutMs: refreshTimeoutMs });
      // What the watch has told meanwhile is newer.
      if (screen.shown === shown) screen.refresh(answer);
    } catch (error) {
      if (!signal.aborted && screen.shown === shown) screen.miss(isSilent(error));
    }
  }
}
