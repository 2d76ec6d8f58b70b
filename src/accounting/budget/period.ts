/** Periods of budgets, cut into slices of time. */
import { DateTime, Duration } from "effect"

export type CalendarUnit = "minute" | "hour" | "day" | "week" | "month" | "year"

export type Period =
  | "forever"
  | CalendarUnit
  | { readonly calendar: CalendarUnit; readonly timeZone?: DateTime.TimeZone }
  | { readonly rolling: Duration.DurationInput }

/** A span of time whose spending stops counting at one time. All in milliseconds since the epoch. */
export interface Slice {
  readonly start: number
  /** End of the slice: later spending belongs to the next one. */
  readonly end: number
  /** When the spending of the slice stops counting. */
  readonly until: number
}

/** Slices per rolling period: spending counts for the period and at most one slice longer. */
export const steps = 60

const calendarSlice = (unit: CalendarUnit, timeZone: DateTime.TimeZone, now: number): Slice => {
  const zoned = DateTime.setZone(DateTime.unsafeMake(now), timeZone)
  const first = DateTime.startOf(zoned, unit, { weekStartsOn: 1 })
  const end = DateTime.toEpochMillis(DateTime.startOf(DateTime.add(first, oneUnit[unit]), unit, { weekStartsOn: 1 }))
  const start = DateTime.toEpochMillis(first)
  // When clocks go back, an hour occurs twice, and its second occurrence would end before `now`.
  return { start, end: Math.max(end, now + 1), until: Math.max(end, now + 1) }
}

const oneUnit: Record<CalendarUnit, Partial<DateTime.DateTime.PartsForMath>> = {
  minute: { minutes: 1 },
  hour: { hours: 1 },
  day: { days: 1 },
  week: { weeks: 1 },
  month: { months: 1 },
  year: { years: 1 }
}

const utc = DateTime.zoneMakeOffset(0)

export const sliceAt = (period: Period, now: number): Slice => {
  if (period === "forever") return { start: now, end: Infinity, until: Infinity }
  if (typeof period === "string") return calendarSlice(period, utc, now)
  if ("calendar" in period) return calendarSlice(period.calendar, period.timeZone ?? utc, now)
  const length = Duration.toMillis(period.rolling)
  const step = Math.max(1, length / steps)
  const start = Math.floor(now / step) * step
  return { start, end: start + step, until: start + step + length }
}
