// SPDX-License-Identifier: MIT
/* Every command we have, by command code: Part 3's command tables in C. */
#include "tpm/engine/handlers.h"

#define D   CMD_DECRYPT
#define E   CMD_ENCRYPT
#define NV  CMD_NV
#define PP  CMD_PP
#define PPA CMD_PP_ALWAYS
#define NS  CMD_NO_SESSIONS
#define W   CMD_NV_WRITE

#define U AUTH_USER
#define A AUTH_ADMIN

/* clang-format off */
static const struct command commands[] = {
	{TPM_CC_NV_UndefineSpaceSpecial, NV | PP, {H_NV_INDEX, H_PLATFORM}, {A, U}, cmd_nv_undefine_space_special},
	{TPM_CC_EvictControl, NV | PP, {H_PROVISION, H_OBJECT}, {U}, cmd_evict_control},
	{TPM_CC_HierarchyControl, NV | CMD_EXTENSIVE | PP, {H_HIERARCHY}, {U}, cmd_hierarchy_control},
	{TPM_CC_NV_UndefineSpace, NV | PP, {H_PROVISION, H_NV_INDEX}, {U}, cmd_nv_undefine_space},
	{TPM_CC_ChangeEPS, NV | CMD_EXTENSIVE | PP, {H_PLATFORM}, {U}, cmd_change_eps},
	{TPM_CC_ChangePPS, NV | CMD_EXTENSIVE | PP, {H_PLATFORM}, {U}, cmd_change_pps},
	{TPM_CC_Clear, NV | CMD_EXTENSIVE | PP, {H_CLEAR}, {U}, cmd_clear},
	{TPM_CC_ClearControl, NV | PP, {H_CLEAR}, {U}, cmd_clear_control},
	{TPM_CC_ClockSet, NV | PP, {H_PROVISION}, {U}, cmd_clock_set},
	{TPM_CC_HierarchyChangeAuth, NV | D | PP, {H_HIERARCHY_AUTH}, {U}, cmd_hierarchy_change_auth},
	{TPM_CC_NV_DefineSpace, NV | D | PP, {H_PROVISION}, {U}, cmd_nv_define_space},
	{TPM_CC_PCR_Allocate, NV | PP, {H_PLATFORM}, {U}, cmd_pcr_allocate},
	{TPM_CC_PCR_SetAuthPolicy, NV | D | PP, {H_PLATFORM}, {U}, cmd_pcr_set_auth_policy},
	{TPM_CC_PP_Commands, NV | PPA, {H_PLATFORM}, {U}, cmd_pp_commands},
	{TPM_CC_SetPrimaryPolicy, NV | D | PP, {H_HIERARCHY_POLICY}, {U}, cmd_set_primary_policy},
	{TPM_CC_ClockRateAdjust, PP, {H_PROVISION}, {U}, cmd_clock_rate_adjust},
	{TPM_CC_CreatePrimary, CMD_RHANDLE | D | E | PP, {H_HIERARCHY | HANDLE_NULL}, {U}, cmd_create_primary},
	{TPM_CC_NV_GlobalWriteLock, NV | PP, {H_PROVISION}, {U}, cmd_nv_global_write_lock},
	{TPM_CC_GetCommandAuditDigest, NV | D | E, {H_ENDORSEMENT, H_OBJECT | HANDLE_NULL}, {U, U},
	 cmd_get_command_audit_digest},
	{TPM_CC_NV_Increment, NV | W, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_increment},
	{TPM_CC_NV_SetBits, NV | W, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_set_bits},
	{TPM_CC_NV_Extend, NV | D | W, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_extend},
	{TPM_CC_NV_Write, NV | D | W, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_write},
	{TPM_CC_NV_WriteLock, NV | W, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_write_lock},
	{TPM_CC_DictionaryAttackLockReset, NV, {H_LOCKOUT}, {U}, cmd_dictionary_attack_lock_reset},
	{TPM_CC_DictionaryAttackParameters, NV, {H_LOCKOUT}, {U}, cmd_dictionary_attack_parameters},
	{TPM_CC_NV_ChangeAuth, NV | D, {H_NV_INDEX}, {A}, cmd_nv_change_auth},
	{TPM_CC_PCR_Event, NV | D, {H_PCR | HANDLE_NULL}, {U}, cmd_pcr_event},
	{TPM_CC_PCR_Reset, NV, {H_PCR}, {U}, cmd_pcr_reset},
	{TPM_CC_SequenceComplete, CMD_FLUSHED | D | E, {H_OBJECT}, {U}, cmd_sequence_complete},
	{TPM_CC_SetAlgorithmSet, NV, {H_PLATFORM}, {U}, cmd_set_algorithm_set},
	{TPM_CC_SetCommandCodeAuditStatus, NV | PP, {H_PROVISION}, {U}, cmd_set_command_code_audit_status},
	{TPM_CC_IncrementalSelfTest, NV, {0}, {0}, cmd_incremental_self_test},
	{TPM_CC_SelfTest, NV, {0}, {0}, cmd_self_test},
	{TPM_CC_Startup, NV | NS, {0}, {0}, cmd_startup},
	{TPM_CC_Shutdown, NV | CMD_NO_AUDIT, {0}, {0}, cmd_shutdown},
	{TPM_CC_StirRandom, D | NV, {0}, {0}, cmd_stir_random},
	{TPM_CC_ActivateCredential, D | E, {H_OBJECT, H_OBJECT}, {A, U}, cmd_activate_credential},
	{TPM_CC_Certify, D | E, {H_OBJECT, H_OBJECT | HANDLE_NULL}, {A, U}, cmd_certify},
	{TPM_CC_PolicyNV, D, {H_NV_AUTH, H_NV_INDEX, H_POLICY}, {U}, cmd_policy_nv},
	{TPM_CC_CertifyCreation, D | E, {H_OBJECT | HANDLE_NULL, H_OBJECT}, {U}, cmd_certify_creation},
	{TPM_CC_Duplicate, D | E, {H_OBJECT, H_OBJECT | HANDLE_NULL}, {AUTH_DUP}, cmd_duplicate},
	{TPM_CC_GetTime, D | E, {H_ENDORSEMENT, H_OBJECT | HANDLE_NULL}, {U, U}, cmd_get_time},
	{TPM_CC_GetSessionAuditDigest, D | E, {H_ENDORSEMENT, H_OBJECT | HANDLE_NULL, H_HMAC}, {U, U},
	 cmd_get_session_audit_digest},
	{TPM_CC_NV_Read, E, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_read},
	{TPM_CC_NV_ReadLock, NV, {H_NV_AUTH, H_NV_INDEX}, {U}, cmd_nv_read_lock},
	{TPM_CC_ObjectChangeAuth, D | E, {H_OBJECT, H_OBJECT}, {A}, cmd_object_change_auth},
	{TPM_CC_PolicySecret, D | E, {H_ENTITY, H_POLICY}, {U}, cmd_policy_secret},
	{TPM_CC_Rewrap, D | E, {H_OBJECT | HANDLE_NULL, H_OBJECT | HANDLE_NULL}, {U}, cmd_rewrap},
	{TPM_CC_Create, D | E, {H_OBJECT}, {U}, cmd_create},
	{TPM_CC_ECDH_ZGen, D | E, {H_OBJECT}, {U}, cmd_ecdh_zgen},
	{TPM_CC_MAC, D | E, {H_OBJECT}, {U}, cmd_mac},
	{TPM_CC_Import, D | E, {H_OBJECT}, {U}, cmd_import},
	{TPM_CC_Load, CMD_RHANDLE | D | E, {H_OBJECT}, {U}, cmd_load},
	{TPM_CC_Quote, D | E, {H_OBJECT | HANDLE_NULL}, {U}, cmd_quote},
	{TPM_CC_RSA_Decrypt, D | E, {H_OBJECT}, {U}, cmd_rsa_decrypt},
	{TPM_CC_MAC_Start, CMD_RHANDLE | D, {H_OBJECT}, {U}, cmd_mac_start},
	{TPM_CC_SequenceUpdate, D, {H_OBJECT}, {U}, cmd_sequence_update},
	{TPM_CC_Sign, D, {H_OBJECT}, {U}, cmd_sign},
	{TPM_CC_Unseal, E, {H_OBJECT}, {U}, cmd_unseal},
	{TPM_CC_PolicySigned, D | E, {H_OBJECT, H_POLICY}, {0}, cmd_policy_signed},
	{TPM_CC_ContextLoad, CMD_RHANDLE | NS, {0}, {0}, cmd_context_load},
	{TPM_CC_ContextSave, NS, {H_CONTEXT}, {0}, cmd_context_save},
	{TPM_CC_ECDH_KeyGen, E, {H_OBJECT}, {0}, cmd_ecdh_keygen},
	{TPM_CC_EncryptDecrypt, E, {H_OBJECT}, {U}, cmd_encrypt_decrypt},
	{TPM_CC_FlushContext, NS, {0}, {0}, cmd_flush_context},
	{TPM_CC_LoadExternal, CMD_RHANDLE | D | E, {0}, {0}, cmd_load_external},
	{TPM_CC_MakeCredential, D | E, {H_OBJECT}, {0}, cmd_make_credential},
	{TPM_CC_NV_ReadPublic, E, {H_NV_INDEX}, {0}, cmd_nv_read_public},
	{TPM_CC_PolicyAuthorize, D, {H_POLICY}, {0}, cmd_policy_authorize},
	{TPM_CC_PolicyAuthValue, 0, {H_POLICY}, {0}, cmd_policy_auth_value},
	{TPM_CC_PolicyCommandCode, 0, {H_POLICY}, {0}, cmd_policy_command_code},
	{TPM_CC_PolicyCounterTimer, D, {H_POLICY}, {0}, cmd_policy_counter_timer},
	{TPM_CC_PolicyCpHash, D, {H_POLICY}, {0}, cmd_policy_cp_hash},
	{TPM_CC_PolicyLocality, 0, {H_POLICY}, {0}, cmd_policy_locality},
	{TPM_CC_PolicyNameHash, D, {H_POLICY}, {0}, cmd_policy_name_hash},
	{TPM_CC_PolicyOR, 0, {H_POLICY}, {0}, cmd_policy_or},
	{TPM_CC_PolicyTicket, D, {H_POLICY}, {0}, cmd_policy_ticket},
	{TPM_CC_ReadPublic, E, {H_OBJECT}, {0}, cmd_read_public},
	{TPM_CC_RSA_Encrypt, D | E, {H_OBJECT}, {0}, cmd_rsa_encrypt},
	{TPM_CC_StartAuthSession, CMD_RHANDLE | D | E, {H_OBJECT | HANDLE_NULL, H_ENTITY | HANDLE_NULL}, {0},
	 cmd_start_auth_session},
	{TPM_CC_VerifySignature, D, {H_OBJECT}, {0}, cmd_verify_signature},
	{TPM_CC_ECC_Parameters, 0, {0}, {0}, cmd_ecc_parameters},
	{TPM_CC_GetCapability, 0, {0}, {0}, cmd_get_capability},
	{TPM_CC_GetRandom, E, {0}, {0}, cmd_get_random},
	{TPM_CC_GetTestResult, E, {0}, {0}, cmd_get_test_result},
	{TPM_CC_Hash, D | E, {0}, {0}, cmd_hash},
	{TPM_CC_PCR_Read, 0, {0}, {0}, cmd_pcr_read},
	{TPM_CC_PolicyPCR, D, {H_POLICY}, {0}, cmd_policy_pcr},
	{TPM_CC_PolicyRestart, 0, {H_POLICY}, {0}, cmd_policy_restart},
	{TPM_CC_ReadClock, 0, {0}, {0}, cmd_read_clock},
	{TPM_CC_PCR_Extend, NV, {H_PCR | HANDLE_NULL}, {U}, cmd_pcr_extend},
	{TPM_CC_PCR_SetAuthValue, NV | D, {H_PCR}, {U}, cmd_pcr_set_auth_value},
	{TPM_CC_NV_Certify, D | E, {H_OBJECT | HANDLE_NULL, H_NV_AUTH, H_NV_INDEX}, {U, U}, cmd_nv_certify},
	{TPM_CC_EventSequenceComplete, NV | CMD_FLUSHED | D, {H_PCR | HANDLE_NULL, H_OBJECT}, {U, U},
	 cmd_event_sequence_complete},
	{TPM_CC_HashSequenceStart, CMD_RHANDLE | D, {0}, {0}, cmd_hash_sequence_start},
	{TPM_CC_PolicyPhysicalPresence, 0, {H_POLICY}, {0}, cmd_policy_physical_presence},
	{TPM_CC_PolicyDuplicationSelect, D, {H_POLICY}, {0}, cmd_policy_duplication_select},
	{TPM_CC_PolicyGetDigest, E, {H_POLICY}, {0}, cmd_policy_get_digest},
	{TPM_CC_TestParms, 0, {0}, {0}, cmd_test_parms},
	{TPM_CC_Commit, D | E, {H_OBJECT}, {U}, cmd_commit},
	{TPM_CC_PolicyPassword, 0, {H_POLICY}, {0}, cmd_policy_password},
	{TPM_CC_ZGen_2Phase, D | E, {H_OBJECT}, {U}, cmd_zgen_2phase},
	{TPM_CC_EC_Ephemeral, E, {0}, {0}, cmd_ec_ephemeral},
	{TPM_CC_PolicyNvWritten, 0, {H_POLICY}, {0}, cmd_policy_nv_written},
	{TPM_CC_PolicyTemplate, D, {H_POLICY}, {0}, cmd_policy_template},
	{TPM_CC_CreateLoaded, CMD_RHANDLE | D | E | PP, {H_PARENT | HANDLE_NULL}, {U}, cmd_create_loaded},
	{TPM_CC_PolicyAuthorizeNV, 0, {H_NV_AUTH, H_NV_INDEX, H_POLICY}, {U}, cmd_policy_authorize_nv},
	{TPM_CC_EncryptDecrypt2, D | E, {H_OBJECT}, {U}, cmd_encrypt_decrypt2},
	{TPM_CC_AC_GetCapability, 0, {H_AC}, {0}, cmd_no_component},
	{TPM_CC_AC_Send, D, {H_OBJECT, H_NV_AUTH, H_AC}, {AUTH_DUP, U}, cmd_no_component},
	{TPM_CC_Policy_AC_SendSelect, D, {H_POLICY}, {0}, cmd_policy_ac_send_select},
	{TPM_CC_CertifyX509, D | E, {H_OBJECT, H_OBJECT | HANDLE_NULL}, {A, U}, cmd_certify_x509},
	{TPM_CC_ACT_SetTimeout, 0, {H_ACT}, {U}, cmd_act_set_timeout},
	{TPM_CC_ECC_Encrypt, D | E, {H_OBJECT}, {0}, cmd_ecc_encrypt},
	{TPM_CC_ECC_Decrypt, D | E, {H_OBJECT}, {U}, cmd_ecc_decrypt},
};
/* clang-format on */

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const struct command *command_next(uint32_t code)
{
	size_t low = 0, high = COMMAND_COUNT;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (commands[mid].code < code)
			low = mid + 1;
		else
			high = mid;
	}
	return low < COMMAND_COUNT ? &commands[low] : NULL;
}

const struct command *command_find(uint32_t code)
{
	const struct command *def = command_next(code);

	return def && def->code == code ? def : NULL;
}

unsigned int command_count(void)
{
	return COMMAND_COUNT;
}

unsigned int command_handle_count(const struct command *def)
{
	unsigned int n = 0;

	while (n < 3 && def->handles[n] != H_NONE)
		n++;
	return n;
}

uint32_t command_attributes(const struct command *def)
{
	uint32_t attributes = def->code | (uint32_t)command_handle_count(def) << TPMA_CC_cHandles;

	if (def->flags & CMD_NV)
		attributes |= TPMA_CC_nv;
	if (def->flags & CMD_EXTENSIVE)
		attributes |= TPMA_CC_extensive;
	if (def->flags & CMD_FLUSHED)
		attributes |= TPMA_CC_flushed;
	if (def->flags & CMD_RHANDLE)
		attributes |= TPMA_CC_rHandle;
	return attributes;
}
