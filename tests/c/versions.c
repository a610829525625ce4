/* Header and library are of one version, said in every way that there is. */
#include "check.h"

int main(void) {
  begin();
  CHECK(chat_version_number() == CHAT_VERSION_NUMBER);
  CHECK(strcmp(chat_version_string(), CHAT_VERSION_STRING) == 0);
  CHECK(chat_abi_version() == CHAT_ABI_VERSION);
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", CHAT_VERSION_MAJOR, CHAT_VERSION_MINOR,
           CHAT_VERSION_PATCH);
  CHECK(strcmp(text, CHAT_VERSION_STRING) == 0);
  CHECK(CHAT_VERSION_NUMBER == CHAT_VERSION_MAJOR * 65536 + CHAT_VERSION_MINOR * 256 + CHAT_VERSION_PATCH);

  CHECK(chat_config_new(CHAT_ABI_VERSION + 1) == NULL);
  CHECK(chat_config_new(0) == NULL);

  CHECK(strcmp(chat_status_name(CHAT_OK), "CHAT_OK") == 0);
  CHECK(strcmp(chat_status_name(CHAT_ERR_PANIC), "CHAT_ERR_PANIC") == 0);
  CHECK(strcmp(chat_status_name(12345), "CHAT_ERR_UNKNOWN") == 0);
  CHECK(strlen(chat_status_message(CHAT_ERR_STOPPED)) > 0);
  CHECK(strlen(chat_status_message(INT32_MIN)) > 0);
  return 0;
}
