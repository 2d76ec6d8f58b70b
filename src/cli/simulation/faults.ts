/** The faults of the simulated provider by their names on the command line and in scripts. */
import * as SimulatedProvider from "../../testing/SimulatedProvider.js"

export const faults = {
  reset: SimulatedProvider.reset(2),
  truncate: SimulatedProvider.truncate(2),
  garbage: SimulatedProvider.garbage,
  hang: SimulatedProvider.hang(),
  drip: SimulatedProvider.drip
} as const

export const isFault = (name: string): name is keyof typeof faults => Object.hasOwn(faults, name)
