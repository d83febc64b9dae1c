/** Many calls with a bounded number of them in flight, as a busy service makes them. */

/** Wall and the latency of each call. */
export interface CallTimes {
  readonly wallMs: number;
  readonly latenciesMs: readonly number[];
}

/** Makes a call for each request, `inFlight` at a time. */
export async function callInFlight<Request>(
  requests: readonly Request[],
  inFlight: number,
  call: (request: Request) => Promise<unknown>,
): Promise<CallTimes> {
  const latenciesMs: number[] = [];
  const queue = requests.values();
  const caller = async () => {
    for (const request of queue) {
      const begun = performance.now();
      await call(request);
      latenciesMs.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: inFlight }, caller));
  return { wallMs: performance.now() - begun, latenciesMs };
}
