/** Ctrl-C: the first ends work in order, the second at once. */

/** What the shell is told of work that was stopped. */
export const interruptedExitCode = 130;

/** A stop that somebody may ask for; who made it releases it. */
export interface StopSignal {
  readonly signal: AbortSignal;
  release(): void;
}

/** Stops in order at the first signal, telling `onStop`, and leaves at once at the second. */
export function stopOnSignal(onStop: () => void): StopSignal {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    controller.abort();
    onStop();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const release = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  return { signal: controller.signal, release };
}
