// Names that resolve as a test says: this program's own getaddrinfo, which libcurl finds before the C library's.
#pragma once

// From now on lookups of `name` give these addresses: numbers, separated by spaces; lookups that follow each other
// give what stands between semicolons, and the last of them for ever. Nothing between them: there is no such name.
// Other names are the C library's.
void names_script(const char *name, const char *answers);

// How many lookups of a scripted name there were.
int names_lookup_count(const char *name);
