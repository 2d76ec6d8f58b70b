/** The exit code of a program of `NodeRuntime.runMain` that a signal ends. */
export const signalExitCode = 130
