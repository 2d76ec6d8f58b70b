/** Lets the event loop turn after each test. Loaded before each file of tests. */
import { afterEach } from "vitest"

// A worker reports to vitest by messages, and fails a run in which all tests pass where an answer is not read within a minute.
// Tests without a timer or a socket follow each other in one turn of the loop, which lasts that long on a busy machine.
afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)))
