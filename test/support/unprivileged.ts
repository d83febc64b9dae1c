/**
 * Work as an account that may not read everything. Root reads what nobody else may, so a test of
 * unreadable files that is started by root must step down.
 */

const nobody = 65_534;

/**
 * Runs `act` with an ordinary account's rights: as they are, or for root those of an account that
 * owns nothing. The whole process changes: nothing else may run meanwhile.
 */
export async function asUnprivileged<Result>(act: () => Promise<Result>): Promise<Result> {
  const { geteuid, seteuid } = process;
  if (geteuid === undefined || seteuid === undefined || geteuid() !== 0) return act();
  seteuid(nobody);
  try {
    return await act();
  } finally {
    seteuid(0);
  }
}
