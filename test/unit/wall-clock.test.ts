import { afterEach, describe, expect, it, vi } from 'vitest';
import { WallClock } from '../../src/telemetry/wall-clock.js';

describe('WallClock', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('is steady while the clocks jitter, and follows the machine’s where that is set', () => {
    const now = vi.spyOn(Date, 'now');
    vi.spyOn(performance, 'now').mockReturnValue(1_000);
    now.mockReturnValue(1_700_000_000_000);
    const clock = new WallClock();
    expect(clock.at(1_000.25)).toBe(1_700_000_000_000.25);
    now.mockReturnValue(1_700_000_000_001);
    expect(clock.sync().at(1_000)).toBe(1_700_000_000_000);
    now.mockReturnValue(1_700_000_060_000);
    expect(clock.sync().at(1_000)).toBe(1_700_000_060_000);
  });
});
