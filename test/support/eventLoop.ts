/** Yields to the event loop after each test. Loaded before each test file. */
import { afterEach } from "vitest"

// A worker reports to vitest by messages and fails the run when a reply is not read within a minute, even if all tests pass.
// Tests without a timer or a socket run in one turn of the loop, which can take that long on a busy machine.
afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)))
