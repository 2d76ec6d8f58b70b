/** The exit code of a program of `NodeRuntime.runMain` that a signal ends: one module, since that of Effect 4 is another. */
export const signalExitCode = 0
