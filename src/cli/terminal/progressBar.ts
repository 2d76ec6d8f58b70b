/** A progress bar in one line that is redrawn. */
import { Duration } from "effect"
import type { Progress } from "../../programs/batch/model.js"
import { formatDollars } from "./renderAnswer.js"
import type { Style } from "./style.js"

const twoDigits = (number: number): string => String(number).padStart(2, "0")

/** Formats `1:05`, `2:03:20`. */
export const clock = (duration: Duration.Duration): string => {
  const seconds = Math.ceil(Duration.toSeconds(duration))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0
    ? `${hours}:${twoDigits(minutes)}:${twoDigits(seconds % 60)}`
    : `${minutes}:${twoDigits(seconds % 60)}`
}

/** Formats `950`, `84.2k`, `1.3M`. */
export const amount = (number: number): string => {
  if (number < 1000) return String(number)
  return number < 999_950 ? `${(number / 1000).toFixed(1)}k` : `${(number / 1_000_000).toFixed(1)}M`
}

/**
 * The texts of the line, without the bar. `dollars`: the cost of this run; absent if no answer has a price. `limited`: the calls that
 * wait for the rate limit of the model file.
 */
export const facts = (progress: Progress, dollars: number | undefined, limited = 0): ReadonlyArray<string> => {
  const { done, failed, rate, timeLeft, toRetry, tokens, total } = progress
  return [
    `${done}${total === undefined ? "" : `/${total}`}`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(toRetry === 0 ? [] : [`${toRetry} to retry`]),
    `${rate.toFixed(1)}/s`,
    `${amount(tokens)} tokens`,
    ...(dollars === undefined ? [] : [formatDollars(dollars)]),
    ...(limited === 0 ? [] : [`${limited} waiting for the rate limit`]),
    ...(timeLeft === undefined ? [] : [`${clock(timeLeft)} left`])
  ]
}

const maxWidth = 30

/** The whole line with its facts, shorter than the width of the terminal, because a wrapped line cannot be redrawn. */
export const line = (
  { done, total = 0 }: Progress,
  parts: ReadonlyArray<string>,
  columns: number,
  style: Style
): string => {
  const share = total === 0 ? 0 : done / total
  const percent = `${Math.floor(share * 100)} %`.padStart(5)
  let text = [percent, ...parts].join(" · ")
  for (let count = parts.length - 1; text.length > columns - 1 && count > 0; count--) {
    text = [percent, ...parts.slice(0, count)].join(" · ")
  }
  const room = Math.min(maxWidth, columns - text.length - 2)
  if (room < 5) return text.slice(0, Math.max(0, columns - 1))
  const full = Math.round(share * room)
  return `${style("█".repeat(full), "green")}${style("░".repeat(room - full), "dim")} ${text}`
}
