/**
 * Tests that the build for Effect 4 does not pass yet, by file: `npm run test:effect4` leaves them out, so that it fails for new faults. One
 * is only listed with the reason why it does not pass.
 */
export const open = {
  // Numbers of fiber steps of Effect 3.
  "test/call/Steps.test.ts": [
    "are counted once for each operation of an effect",
    "of the same chat over an HttpClient are at most 17 more than those of its request alone"
  ],
  // Effect 4 makes a defect of a failure whose finalizer dies.
  "test/call/StreamTimeout.test.ts": ["fails with the error of the opening although its finalizer dies"],
  // Not understood.
  "test/call/TimeLimit.test.ts": ["within interrupts its effect when it is interrupted, and waits for the finalizer"]
}
