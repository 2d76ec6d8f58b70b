/** What is wrong with a value that does not fit its schema, for people and for models. */
import { ParseResult } from "effect"

export interface Fault {
  /** Where, such as `items[2].price`; empty for the value as a whole. */
  readonly path: string
  readonly steps: ReadonlyArray<PropertyKey>
  readonly message: string
}

/** The most of a faulty value that is told: enough to find it, too little to spill a prompt into a log. */
const maxTold = 160

export const pathOf = (steps: ReadonlyArray<PropertyKey>): string =>
  steps
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`))
    .join("")

/** Whether the first path leads to where the second one starts from. */
const isAbove = (steps: ReadonlyArray<PropertyKey>, further: ReadonlyArray<PropertyKey>): boolean =>
  steps.length < further.length && steps.every((step, index) => step === further[index])

/** All faults, the first one first. There is always one. */
export const faultsOf = (issue: ParseResult.ParseIssue): ReadonlyArray<Fault> => {
  const faults = ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ message, path }) => ({
    path: pathOf(path),
    steps: path,
    message: message.slice(0, maxTold)
  }))
  // Of the alternatives that a union tried, the one that got furthest is the one that was meant.
  return faults.filter(({ steps }) => !faults.some((other) => isAbove(steps, other.steps)))
}

/** The faults in one line. */
export const summary = (faults: ReadonlyArray<Fault>): string =>
  faults.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
