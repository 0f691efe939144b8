/** Modes of the files and folders that Parley makes: they hold what users said, so they are for its own user alone. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;
