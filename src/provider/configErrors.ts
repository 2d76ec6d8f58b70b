/** Errors of the configuration: one module, since those of Effect 4 are others. */
import { ConfigError } from "effect"

/** A variable is missing. */
export const missing = (variable: string, message: string): ConfigError.ConfigError =>
  ConfigError.MissingData([variable], message)

/** The value of a variable, which its `Config` names, is invalid. */
export const invalid = (message: string): ConfigError.ConfigError => ConfigError.InvalidData([], message)
