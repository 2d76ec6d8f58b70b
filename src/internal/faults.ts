/** The faults of a value that does not match its schema, in words for people and models. */
import { ParseResult } from "effect"

export interface Fault {
  /** The path, such as `items[2].price`; empty for the value as a whole. */
  readonly path: string
  readonly steps: ReadonlyArray<PropertyKey>
  readonly message: string
}

/** The longest message in characters: enough to find the value, too little to put a prompt into a log. */
const maxMessageLength = 160

export const pathOf = (steps: ReadonlyArray<PropertyKey>): string =>
  steps
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`))
    .join("")

/** Whether the first path is a proper prefix of the second one. */
const isAbove = (steps: ReadonlyArray<PropertyKey>, further: ReadonlyArray<PropertyKey>): boolean =>
  steps.length < further.length && steps.every((step, index) => step === further[index])

/** All faults in the order of the value; never empty. */
export const faultsOf = (issue: ParseResult.ParseIssue): ReadonlyArray<Fault> => {
  const faults = ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ message, path }) => ({
    path: pathOf(path),
    steps: path,
    message: message.slice(0, maxMessageLength)
  }))
  // Of the members of a union, the one that decoded furthest is the one that was meant.
  return faults.filter(({ steps }) => !faults.some((other) => isAbove(steps, other.steps)))
}

/** The faults in one line. */
export const summary = (faults: ReadonlyArray<Fault>): string =>
  faults.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
