/**
 * Validation of values, and the faults of those that do not match their schema, in words for people and models: one module, since the
 * issues of Effect 4 have another form.
 */
import { ParseResult } from "effect"
import { messageOf } from "./expectations.js"
import { findingsOf } from "./findings.js"

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

/** An issue of a schema with its place. */
export type Issue = ParseResult.ArrayFormatterIssue

/** Checks a value that may be of a type already, without decoding it. */
export const validateEither = ParseResult.validateEither

/** All issues in the order of the value. */
export const issuesOf = ParseResult.ArrayFormatter.formatIssueSync

/** All issues in one text, for an error whose value has no secrets. */
export const treeOf = ParseResult.TreeFormatter.formatErrorSync

/** All faults in the order of the value; never empty. */
export const faultsOf = (issue: ParseResult.ParseIssue): ReadonlyArray<Fault> => {
  const faults = findingsOf(issue).map((finding) => ({
    path: pathOf(finding.path),
    steps: finding.path,
    message: messageOf(finding).slice(0, maxMessageLength)
  }))
  // Of the members of a union, the one that decoded furthest is the one that was meant. Two of them can say the same.
  return faults.filter(
    ({ message, path, steps }, index) =>
      !faults.some((other) => isAbove(steps, other.steps)) &&
      faults.findIndex((other) => other.path === path && other.message === message) === index
  )
}

/** The faults in one line. */
export const summary = (faults: ReadonlyArray<Fault>): string =>
  faults.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
