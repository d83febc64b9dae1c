/** How large a Struct of the API may be, whether a request brings it or a change makes it. */

/** The largest Struct, in bytes as JSON text. */
export const structBytesMax = 65_536;

/** The deepest Struct: it is level 1 itself. */
export const structDepthMax = 32;
