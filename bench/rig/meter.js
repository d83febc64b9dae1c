/**
 * Preloaded into every measured process: answers what it has used, and ends it with the bench that
 * started it. JavaScript, because the built server is started without a compiler.
 */

process.on('message', (message) => {
  if (message !== 'usage') return;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  process.send?.({
    cpuUs: userCPUTime + systemCPUTime,
    rssBytes: process.memoryUsage.rss(),
    rssPeakBytes: maxRSS * 1024,
  });
});
process.on('disconnect', () => process.exit());
// Else the channel alone would keep a drained server alive.
process.channel?.unref();
