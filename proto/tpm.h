/* SPDX-License-Identifier: MIT */
/*
 * TPM 2.0 constants: TCG TPM 2.0 Library, Part 2 "Structures", revision 1.59. The names are the specification's own.
 * Everything on the wire is big-endian; the structures are variable in length, so they are not declared here as
 * C structs but read and written by tpm/engine/marshal.c.
 */
#ifndef PROTO_TPM_H
#define PROTO_TPM_H

/* 6.3 TPM_ALG_ID */
#define TPM_ALG_ERROR          0x0000
#define TPM_ALG_RSA            0x0001
#define TPM_ALG_SHA1           0x0004
#define TPM_ALG_HMAC           0x0005
#define TPM_ALG_AES            0x0006
#define TPM_ALG_MGF1           0x0007
#define TPM_ALG_KEYEDHASH      0x0008
#define TPM_ALG_XOR            0x000A
#define TPM_ALG_SHA256         0x000B
#define TPM_ALG_SHA384         0x000C
#define TPM_ALG_SHA512         0x000D
#define TPM_ALG_NULL           0x0010
#define TPM_ALG_SM3_256        0x0012
#define TPM_ALG_RSASSA         0x0014
#define TPM_ALG_RSAES          0x0015
#define TPM_ALG_RSAPSS         0x0016
#define TPM_ALG_OAEP           0x0017
#define TPM_ALG_ECDSA          0x0018
#define TPM_ALG_ECDH           0x0019
#define TPM_ALG_ECDAA          0x001A
#define TPM_ALG_SM2            0x001B
#define TPM_ALG_ECSCHNORR      0x001C
#define TPM_ALG_ECMQV          0x001D
#define TPM_ALG_KDF1_SP800_56A 0x0020
#define TPM_ALG_KDF2           0x0021
#define TPM_ALG_KDF1_SP800_108 0x0022
#define TPM_ALG_ECC            0x0023
#define TPM_ALG_SYMCIPHER      0x0025
#define TPM_ALG_CAMELLIA       0x0026
#define TPM_ALG_CMAC           0x003F
#define TPM_ALG_CTR            0x0040
#define TPM_ALG_OFB            0x0041
#define TPM_ALG_CBC            0x0042
#define TPM_ALG_CFB            0x0043
#define TPM_ALG_ECB            0x0044

/* 6.4 TPM_ECC_CURVE */
#define TPM_ECC_NONE      0x0000
#define TPM_ECC_NIST_P192 0x0001
#define TPM_ECC_NIST_P224 0x0002
#define TPM_ECC_NIST_P256 0x0003
#define TPM_ECC_NIST_P384 0x0004
#define TPM_ECC_NIST_P521 0x0005
#define TPM_ECC_BN_P256   0x0010
#define TPM_ECC_BN_P638   0x0011

/* 6.5 TPM_CC */
#define TPM_CC_FIRST                      0x0000011F
#define TPM_CC_NV_UndefineSpaceSpecial    0x0000011F
#define TPM_CC_EvictControl               0x00000120
#define TPM_CC_HierarchyControl           0x00000121
#define TPM_CC_NV_UndefineSpace           0x00000122
#define TPM_CC_ChangeEPS                  0x00000124
#define TPM_CC_ChangePPS                  0x00000125
#define TPM_CC_Clear                      0x00000126
#define TPM_CC_ClearControl               0x00000127
#define TPM_CC_ClockSet                   0x00000128
#define TPM_CC_HierarchyChangeAuth        0x00000129
#define TPM_CC_NV_DefineSpace             0x0000012A
#define TPM_CC_PCR_Allocate               0x0000012B
#define TPM_CC_PCR_SetAuthPolicy          0x0000012C
#define TPM_CC_PP_Commands                0x0000012D
#define TPM_CC_SetPrimaryPolicy           0x0000012E
#define TPM_CC_FieldUpgradeStart          0x0000012F
#define TPM_CC_ClockRateAdjust            0x00000130
#define TPM_CC_CreatePrimary              0x00000131
#define TPM_CC_NV_GlobalWriteLock         0x00000132
#define TPM_CC_GetCommandAuditDigest      0x00000133
#define TPM_CC_NV_Increment               0x00000134
#define TPM_CC_NV_SetBits                 0x00000135
#define TPM_CC_NV_Extend                  0x00000136
#define TPM_CC_NV_Write                   0x00000137
#define TPM_CC_NV_WriteLock               0x00000138
#define TPM_CC_DictionaryAttackLockReset  0x00000139
#define TPM_CC_DictionaryAttackParameters 0x0000013A
#define TPM_CC_NV_ChangeAuth              0x0000013B
#define TPM_CC_PCR_Event                  0x0000013C
#define TPM_CC_PCR_Reset                  0x0000013D
#define TPM_CC_SequenceComplete           0x0000013E
#define TPM_CC_SetAlgorithmSet            0x0000013F
#define TPM_CC_SetCommandCodeAuditStatus  0x00000140
#define TPM_CC_FieldUpgradeData           0x00000141
#define TPM_CC_IncrementalSelfTest        0x00000142
#define TPM_CC_SelfTest                   0x00000143
#define TPM_CC_Startup                    0x00000144
#define TPM_CC_Shutdown                   0x00000145
#define TPM_CC_StirRandom                 0x00000146
#define TPM_CC_ActivateCredential         0x00000147
#define TPM_CC_Certify                    0x00000148
#define TPM_CC_PolicyNV                   0x00000149
#define TPM_CC_CertifyCreation            0x0000014A
#define TPM_CC_Duplicate                  0x0000014B
#define TPM_CC_GetTime                    0x0000014C
#define TPM_CC_GetSessionAuditDigest      0x0000014D
#define TPM_CC_NV_Read                    0x0000014E
#define TPM_CC_NV_ReadLock                0x0000014F
#define TPM_CC_ObjectChangeAuth           0x00000150
#define TPM_CC_PolicySecret               0x00000151
#define TPM_CC_Rewrap                     0x00000152
#define TPM_CC_Create                     0x00000153
#define TPM_CC_ECDH_ZGen                  0x00000154
#define TPM_CC_HMAC                       0x00000155
#define TPM_CC_MAC                        0x00000155
#define TPM_CC_Import                     0x00000156
#define TPM_CC_Load                       0x00000157
#define TPM_CC_Quote                      0x00000158
#define TPM_CC_RSA_Decrypt                0x00000159
#define TPM_CC_HMAC_Start                 0x0000015B
#define TPM_CC_MAC_Start                  0x0000015B
#define TPM_CC_SequenceUpdate             0x0000015C
#define TPM_CC_Sign                       0x0000015D
#define TPM_CC_Unseal                     0x0000015E
#define TPM_CC_PolicySigned               0x00000160
#define TPM_CC_ContextLoad                0x00000161
#define TPM_CC_ContextSave                0x00000162
#define TPM_CC_ECDH_KeyGen                0x00000163
#define TPM_CC_EncryptDecrypt             0x00000164
#define TPM_CC_FlushContext               0x00000165
#define TPM_CC_LoadExternal               0x00000167
#define TPM_CC_MakeCredential             0x00000168
#define TPM_CC_NV_ReadPublic              0x00000169
#define TPM_CC_PolicyAuthorize            0x0000016A
#define TPM_CC_PolicyAuthValue            0x0000016B
#define TPM_CC_PolicyCommandCode          0x0000016C
#define TPM_CC_PolicyCounterTimer         0x0000016D
#define TPM_CC_PolicyCpHash               0x0000016E
#define TPM_CC_PolicyLocality             0x0000016F
#define TPM_CC_PolicyNameHash             0x00000170
#define TPM_CC_PolicyOR                   0x00000171
#define TPM_CC_PolicyTicket               0x00000172
#define TPM_CC_ReadPublic                 0x00000173
#define TPM_CC_RSA_Encrypt                0x00000174
#define TPM_CC_StartAuthSession           0x00000176
#define TPM_CC_VerifySignature            0x00000177
#define TPM_CC_ECC_Parameters             0x00000178
#define TPM_CC_FirmwareRead               0x00000179
#define TPM_CC_GetCapability              0x0000017A
#define TPM_CC_GetRandom                  0x0000017B
#define TPM_CC_GetTestResult              0x0000017C
#define TPM_CC_Hash                       0x0000017D
#define TPM_CC_PCR_Read                   0x0000017E
#define TPM_CC_PolicyPCR                  0x0000017F
#define TPM_CC_PolicyRestart              0x00000180
#define TPM_CC_ReadClock                  0x00000181
#define TPM_CC_PCR_Extend                 0x00000182
#define TPM_CC_PCR_SetAuthValue           0x00000183
#define TPM_CC_NV_Certify                 0x00000184
#define TPM_CC_EventSequenceComplete      0x00000185
#define TPM_CC_HashSequenceStart          0x00000186
#define TPM_CC_PolicyPhysicalPresence     0x00000187
#define TPM_CC_PolicyDuplicationSelect    0x00000188
#define TPM_CC_PolicyGetDigest            0x00000189
#define TPM_CC_TestParms                  0x0000018A
#define TPM_CC_Commit                     0x0000018B
#define TPM_CC_PolicyPassword             0x0000018C
#define TPM_CC_ZGen_2Phase                0x0000018D
#define TPM_CC_EC_Ephemeral               0x0000018E
#define TPM_CC_PolicyNvWritten            0x0000018F
#define TPM_CC_PolicyTemplate             0x00000190
#define TPM_CC_CreateLoaded               0x00000191
#define TPM_CC_PolicyAuthorizeNV          0x00000192
#define TPM_CC_EncryptDecrypt2            0x00000193
#define TPM_CC_AC_GetCapability           0x00000194
#define TPM_CC_AC_Send                    0x00000195
#define TPM_CC_Policy_AC_SendSelect       0x00000196
#define TPM_CC_CertifyX509                0x00000197
#define TPM_CC_ACT_SetTimeout             0x00000198
#define TPM_CC_ECC_Encrypt                0x00000199
#define TPM_CC_ECC_Decrypt                0x0000019A
#define TPM_CC_LAST                       0x0000019A

/* 6.2 TPM_SPEC, TPM_GENERATED */
#define TPM_GENERATED_VALUE 0xFF544347

/* 6.6 TPM_RC */
#define TPM_RC_SUCCESS           0x000
#define TPM_RC_BAD_TAG           0x01E
#define RC_VER1                  0x100
#define TPM_RC_INITIALIZE        (RC_VER1 + 0x000)
#define TPM_RC_FAILURE           (RC_VER1 + 0x001)
#define TPM_RC_SEQUENCE          (RC_VER1 + 0x003)
#define TPM_RC_DISABLED          (RC_VER1 + 0x020)
#define TPM_RC_EXCLUSIVE         (RC_VER1 + 0x021)
#define TPM_RC_AUTH_TYPE         (RC_VER1 + 0x024)
#define TPM_RC_AUTH_MISSING      (RC_VER1 + 0x025)
#define TPM_RC_POLICY            (RC_VER1 + 0x026)
#define TPM_RC_PCR               (RC_VER1 + 0x027)
#define TPM_RC_PCR_CHANGED       (RC_VER1 + 0x028)
#define TPM_RC_UPGRADE           (RC_VER1 + 0x02D)
#define TPM_RC_TOO_MANY_CONTEXTS (RC_VER1 + 0x02E)
#define TPM_RC_AUTH_UNAVAILABLE  (RC_VER1 + 0x02F)
#define TPM_RC_REBOOT            (RC_VER1 + 0x030)
#define TPM_RC_UNBALANCED        (RC_VER1 + 0x031)
#define TPM_RC_COMMAND_SIZE      (RC_VER1 + 0x042)
#define TPM_RC_COMMAND_CODE      (RC_VER1 + 0x043)
#define TPM_RC_AUTHSIZE          (RC_VER1 + 0x044)
#define TPM_RC_AUTH_CONTEXT      (RC_VER1 + 0x045)
#define TPM_RC_NV_RANGE          (RC_VER1 + 0x046)
#define TPM_RC_NV_SIZE           (RC_VER1 + 0x047)
#define TPM_RC_NV_LOCKED         (RC_VER1 + 0x048)
#define TPM_RC_NV_AUTHORIZATION  (RC_VER1 + 0x049)
#define TPM_RC_NV_UNINITIALIZED  (RC_VER1 + 0x04A)
#define TPM_RC_NV_SPACE          (RC_VER1 + 0x04B)
#define TPM_RC_NV_DEFINED        (RC_VER1 + 0x04C)
#define TPM_RC_BAD_CONTEXT       (RC_VER1 + 0x050)
#define TPM_RC_CPHASH            (RC_VER1 + 0x051)
#define TPM_RC_PARENT            (RC_VER1 + 0x052)
#define TPM_RC_NEEDS_TEST        (RC_VER1 + 0x053)
#define TPM_RC_NO_RESULT         (RC_VER1 + 0x054)
#define TPM_RC_SENSITIVE         (RC_VER1 + 0x055)

#define RC_FMT1              0x080
#define TPM_RC_ASYMMETRIC    (RC_FMT1 + 0x001)
#define TPM_RC_ATTRIBUTES    (RC_FMT1 + 0x002)
#define TPM_RC_HASH          (RC_FMT1 + 0x003)
#define TPM_RC_VALUE         (RC_FMT1 + 0x004)
#define TPM_RC_HIERARCHY     (RC_FMT1 + 0x005)
#define TPM_RC_KEY_SIZE      (RC_FMT1 + 0x007)
#define TPM_RC_MGF           (RC_FMT1 + 0x008)
#define TPM_RC_MODE          (RC_FMT1 + 0x009)
#define TPM_RC_TYPE          (RC_FMT1 + 0x00A)
#define TPM_RC_HANDLE        (RC_FMT1 + 0x00B)
#define TPM_RC_KDF           (RC_FMT1 + 0x00C)
#define TPM_RC_RANGE         (RC_FMT1 + 0x00D)
#define TPM_RC_AUTH_FAIL     (RC_FMT1 + 0x00E)
#define TPM_RC_NONCE         (RC_FMT1 + 0x00F)
#define TPM_RC_PP            (RC_FMT1 + 0x010)
#define TPM_RC_SCHEME        (RC_FMT1 + 0x012)
#define TPM_RC_SIZE          (RC_FMT1 + 0x015)
#define TPM_RC_SYMMETRIC     (RC_FMT1 + 0x016)
#define TPM_RC_TAG           (RC_FMT1 + 0x017)
#define TPM_RC_SELECTOR      (RC_FMT1 + 0x018)
#define TPM_RC_INSUFFICIENT  (RC_FMT1 + 0x01A)
#define TPM_RC_SIGNATURE     (RC_FMT1 + 0x01B)
#define TPM_RC_KEY           (RC_FMT1 + 0x01C)
#define TPM_RC_POLICY_FAIL   (RC_FMT1 + 0x01D)
#define TPM_RC_INTEGRITY     (RC_FMT1 + 0x01F)
#define TPM_RC_TICKET        (RC_FMT1 + 0x020)
#define TPM_RC_RESERVED_BITS (RC_FMT1 + 0x021)
#define TPM_RC_BAD_AUTH      (RC_FMT1 + 0x022)
#define TPM_RC_EXPIRED       (RC_FMT1 + 0x023)
#define TPM_RC_POLICY_CC     (RC_FMT1 + 0x024)
#define TPM_RC_BINDING       (RC_FMT1 + 0x025)
#define TPM_RC_CURVE         (RC_FMT1 + 0x026)
#define TPM_RC_ECC_POINT     (RC_FMT1 + 0x027)

#define RC_WARN                0x900
#define TPM_RC_CONTEXT_GAP     (RC_WARN + 0x001)
#define TPM_RC_OBJECT_MEMORY   (RC_WARN + 0x002)
#define TPM_RC_SESSION_MEMORY  (RC_WARN + 0x003)
#define TPM_RC_MEMORY          (RC_WARN + 0x004)
#define TPM_RC_SESSION_HANDLES (RC_WARN + 0x005)
#define TPM_RC_OBJECT_HANDLES  (RC_WARN + 0x006)
#define TPM_RC_LOCALITY        (RC_WARN + 0x007)
#define TPM_RC_CANCELED        (RC_WARN + 0x009)
#define TPM_RC_TESTING         (RC_WARN + 0x00A)
#define TPM_RC_REFERENCE_H0    (RC_WARN + 0x010)
#define TPM_RC_REFERENCE_S0    (RC_WARN + 0x018)
#define TPM_RC_NV_RATE         (RC_WARN + 0x020)
#define TPM_RC_LOCKOUT         (RC_WARN + 0x021)
#define TPM_RC_RETRY           (RC_WARN + 0x022)
#define TPM_RC_NV_UNAVAILABLE  (RC_WARN + 0x023)

#define TPM_RC_H 0x000
#define TPM_RC_P 0x040
#define TPM_RC_S 0x800
#define TPM_RC_1 0x100

/* 6.9 TPM_ST */
#define TPM_ST_RSP_COMMAND          0x00C4
#define TPM_ST_NULL                 0x8000
#define TPM_ST_NO_SESSIONS          0x8001
#define TPM_ST_SESSIONS             0x8002
#define TPM_ST_ATTEST_NV            0x8014
#define TPM_ST_ATTEST_COMMAND_AUDIT 0x8015
#define TPM_ST_ATTEST_SESSION_AUDIT 0x8016
#define TPM_ST_ATTEST_CERTIFY       0x8017
#define TPM_ST_ATTEST_QUOTE         0x8018
#define TPM_ST_ATTEST_TIME          0x8019
#define TPM_ST_ATTEST_CREATION      0x801A
#define TPM_ST_ATTEST_NV_DIGEST     0x801C
#define TPM_ST_CREATION             0x8021
#define TPM_ST_VERIFIED             0x8022
#define TPM_ST_AUTH_SECRET          0x8023
#define TPM_ST_HASHCHECK            0x8024
#define TPM_ST_AUTH_SIGNED          0x8025

/* 6.10 TPM_SU, 6.11 TPM_SE */
#define TPM_SU_CLEAR  0x0000
#define TPM_SU_STATE  0x0001
#define TPM_SE_HMAC   0x00
#define TPM_SE_POLICY 0x01
#define TPM_SE_TRIAL  0x03

/* 6.12 TPM_CAP */
#define TPM_CAP_ALGS            0x00000000
#define TPM_CAP_HANDLES         0x00000001
#define TPM_CAP_COMMANDS        0x00000002
#define TPM_CAP_PP_COMMANDS     0x00000003
#define TPM_CAP_AUDIT_COMMANDS  0x00000004
#define TPM_CAP_PCRS            0x00000005
#define TPM_CAP_TPM_PROPERTIES  0x00000006
#define TPM_CAP_PCR_PROPERTIES  0x00000007
#define TPM_CAP_ECC_CURVES      0x00000008
#define TPM_CAP_AUTH_POLICIES   0x00000009
#define TPM_CAP_ACT             0x0000000A
#define TPM_CAP_VENDOR_PROPERTY 0x00000100

/* 6.13 TPM_PT */
#define TPM_PT_FAMILY_INDICATOR    0x100
#define TPM_PT_LEVEL               0x101
#define TPM_PT_REVISION            0x102
#define TPM_PT_DAY_OF_YEAR         0x103
#define TPM_PT_YEAR                0x104
#define TPM_PT_MANUFACTURER        0x105
#define TPM_PT_VENDOR_STRING_1     0x106
#define TPM_PT_VENDOR_STRING_2     0x107
#define TPM_PT_VENDOR_STRING_3     0x108
#define TPM_PT_VENDOR_STRING_4     0x109
#define TPM_PT_VENDOR_TPM_TYPE     0x10A
#define TPM_PT_FIRMWARE_VERSION_1  0x10B
#define TPM_PT_FIRMWARE_VERSION_2  0x10C
#define TPM_PT_INPUT_BUFFER        0x10D
#define TPM_PT_HR_TRANSIENT_MIN    0x10E
#define TPM_PT_HR_PERSISTENT_MIN   0x10F
#define TPM_PT_HR_LOADED_MIN       0x110
#define TPM_PT_ACTIVE_SESSIONS_MAX 0x111
#define TPM_PT_PCR_COUNT           0x112
#define TPM_PT_PCR_SELECT_MIN      0x113
#define TPM_PT_CONTEXT_GAP_MAX     0x114
#define TPM_PT_NV_COUNTERS_MAX     0x116
#define TPM_PT_NV_INDEX_MAX        0x117
#define TPM_PT_MEMORY              0x118
#define TPM_PT_CLOCK_UPDATE        0x119
#define TPM_PT_CONTEXT_HASH        0x11A
#define TPM_PT_CONTEXT_SYM         0x11B
#define TPM_PT_CONTEXT_SYM_SIZE    0x11C
#define TPM_PT_ORDERLY_COUNT       0x11D
#define TPM_PT_MAX_COMMAND_SIZE    0x11E
#define TPM_PT_MAX_RESPONSE_SIZE   0x11F
#define TPM_PT_MAX_DIGEST          0x120
#define TPM_PT_MAX_OBJECT_CONTEXT  0x121
#define TPM_PT_MAX_SESSION_CONTEXT 0x122
#define TPM_PT_PS_FAMILY_INDICATOR 0x123
#define TPM_PT_PS_LEVEL            0x124
#define TPM_PT_PS_REVISION         0x125
#define TPM_PT_PS_DAY_OF_YEAR      0x126
#define TPM_PT_PS_YEAR             0x127
#define TPM_PT_SPLIT_MAX           0x128
#define TPM_PT_TOTAL_COMMANDS      0x129
#define TPM_PT_LIBRARY_COMMANDS    0x12A
#define TPM_PT_VENDOR_COMMANDS     0x12B
#define TPM_PT_NV_BUFFER_MAX       0x12C
#define TPM_PT_MODES               0x12D
#define TPM_PT_MAX_CAP_BUFFER      0x12E
#define TPM_PT_PERMANENT           0x200
#define TPM_PT_STARTUP_CLEAR       0x201
#define TPM_PT_HR_NV_INDEX         0x202
#define TPM_PT_HR_LOADED           0x203
#define TPM_PT_HR_LOADED_AVAIL     0x204
#define TPM_PT_HR_ACTIVE           0x205
#define TPM_PT_HR_ACTIVE_AVAIL     0x206
#define TPM_PT_HR_TRANSIENT_AVAIL  0x207
#define TPM_PT_HR_PERSISTENT       0x208
#define TPM_PT_HR_PERSISTENT_AVAIL 0x209
#define TPM_PT_NV_COUNTERS         0x20A
#define TPM_PT_NV_COUNTERS_AVAIL   0x20B
#define TPM_PT_ALGORITHM_SET       0x20C
#define TPM_PT_LOADED_CURVES       0x20D
#define TPM_PT_LOCKOUT_COUNTER     0x20E
#define TPM_PT_MAX_AUTH_FAIL       0x20F
#define TPM_PT_LOCKOUT_INTERVAL    0x210
#define TPM_PT_LOCKOUT_RECOVERY    0x211
#define TPM_PT_NV_WRITE_RECOVERY   0x212
#define TPM_PT_AUDIT_COUNTER_0     0x213
#define TPM_PT_AUDIT_COUNTER_1     0x214

/* 6.14 TPM_PT_PCR */
#define TPM_PT_PCR_SAVE         0x00
#define TPM_PT_PCR_EXTEND_L0    0x01
#define TPM_PT_PCR_RESET_L0     0x02
#define TPM_PT_PCR_EXTEND_L1    0x03
#define TPM_PT_PCR_RESET_L1     0x04
#define TPM_PT_PCR_EXTEND_L2    0x05
#define TPM_PT_PCR_RESET_L2     0x06
#define TPM_PT_PCR_EXTEND_L3    0x07
#define TPM_PT_PCR_RESET_L3     0x08
#define TPM_PT_PCR_EXTEND_L4    0x09
#define TPM_PT_PCR_RESET_L4     0x0A
#define TPM_PT_PCR_NO_INCREMENT 0x11
#define TPM_PT_PCR_DRTM_RESET   0x12
#define TPM_PT_PCR_POLICY       0x13
#define TPM_PT_PCR_AUTH         0x14

/* 6.8 TPM_EO */
#define TPM_EO_EQ          0x0000
#define TPM_EO_NEQ         0x0001
#define TPM_EO_SIGNED_GT   0x0002
#define TPM_EO_UNSIGNED_GT 0x0003
#define TPM_EO_SIGNED_LT   0x0004
#define TPM_EO_UNSIGNED_LT 0x0005
#define TPM_EO_SIGNED_GE   0x0006
#define TPM_EO_UNSIGNED_GE 0x0007
#define TPM_EO_SIGNED_LE   0x0008
#define TPM_EO_UNSIGNED_LE 0x0009
#define TPM_EO_BITSET      0x000A
#define TPM_EO_BITCLEAR    0x000B

/* 7.2 TPM_HT, 7.4 TPM_RH */
#define TPM_HT_PCR            0x00
#define TPM_HT_NV_INDEX       0x01
#define TPM_HT_HMAC_SESSION   0x02
#define TPM_HT_POLICY_SESSION 0x03
#define TPM_HT_PERMANENT      0x40
#define TPM_HT_TRANSIENT      0x80
#define TPM_HT_PERSISTENT     0x81
#define TPM_HT_AC             0x90
#define TPM_HANDLE_TYPE(h)    ((h) >> 24)

#define TPM_RH_OWNER       0x40000001
#define TPM_RH_NULL        0x40000007
#define TPM_RH_UNASSIGNED  0x40000008
#define TPM_RS_PW          0x40000009
#define TPM_RH_LOCKOUT     0x4000000A
#define TPM_RH_ENDORSEMENT 0x4000000B
#define TPM_RH_PLATFORM    0x4000000C
#define TPM_RH_PLATFORM_NV 0x4000000D
#define TPM_RH_ACT_0       0x40000110
#define TPM_RH_ACT_F       0x4000011F

#define HMAC_SESSION_FIRST   0x02000000
#define POLICY_SESSION_FIRST 0x03000000
#define TRANSIENT_FIRST      0x80000000
#define PERSISTENT_FIRST     0x81000000
#define PERSISTENT_LAST      0x81FFFFFF
#define PLATFORM_PERSISTENT  0x81800000
#define NV_INDEX_FIRST       0x01000000
#define NV_INDEX_LAST        0x01FFFFFF
#define AC_FIRST             0x90000000
#define AC_LAST              0x9000FFFF

/* 8.2 TPMA_ALGORITHM */
#define TPMA_ALGORITHM_asymmetric (1u << 0)
#define TPMA_ALGORITHM_symmetric  (1u << 1)
#define TPMA_ALGORITHM_hash       (1u << 2)
#define TPMA_ALGORITHM_object     (1u << 3)
#define TPMA_ALGORITHM_signing    (1u << 8)
#define TPMA_ALGORITHM_encrypting (1u << 9)
#define TPMA_ALGORITHM_method     (1u << 10)

/* 8.3 TPMA_OBJECT */
#define TPMA_OBJECT_fixedTPM             (1u << 1)
#define TPMA_OBJECT_stClear              (1u << 2)
#define TPMA_OBJECT_fixedParent          (1u << 4)
#define TPMA_OBJECT_sensitiveDataOrigin  (1u << 5)
#define TPMA_OBJECT_userWithAuth         (1u << 6)
#define TPMA_OBJECT_adminWithPolicy      (1u << 7)
#define TPMA_OBJECT_noDA                 (1u << 10)
#define TPMA_OBJECT_encryptedDuplication (1u << 11)
#define TPMA_OBJECT_restricted           (1u << 16)
#define TPMA_OBJECT_decrypt              (1u << 17)
#define TPMA_OBJECT_sign                 (1u << 18)
#define TPMA_OBJECT_x509sign             (1u << 19)
#define TPMA_OBJECT_RESERVED             0xFFF0F309u

/* 8.4 TPMA_SESSION */
#define TPMA_SESSION_continueSession (1u << 0)
#define TPMA_SESSION_auditExclusive  (1u << 1)
#define TPMA_SESSION_auditReset      (1u << 2)
#define TPMA_SESSION_decrypt         (1u << 5)
#define TPMA_SESSION_encrypt         (1u << 6)
#define TPMA_SESSION_audit           (1u << 7)
#define TPMA_SESSION_RESERVED        0x18u

/* 8.9 TPMA_CC */
#define TPMA_CC_nv        (1u << 22)
#define TPMA_CC_extensive (1u << 23)
#define TPMA_CC_flushed   (1u << 24)
#define TPMA_CC_cHandles  25
#define TPMA_CC_rHandle   (1u << 28)

/* 8.6 TPMA_PERMANENT, 8.7 TPMA_STARTUP_CLEAR, 8.8 TPMA_MEMORY */
#define TPMA_PERMANENT_ownerAuthSet       (1u << 0)
#define TPMA_PERMANENT_endorsementAuthSet (1u << 1)
#define TPMA_PERMANENT_lockoutAuthSet     (1u << 2)
#define TPMA_PERMANENT_disableClear       (1u << 8)
#define TPMA_PERMANENT_inLockout          (1u << 9)
#define TPMA_PERMANENT_tpmGeneratedEPS    (1u << 10)
#define TPMA_STARTUP_CLEAR_phEnable       (1u << 0)
#define TPMA_STARTUP_CLEAR_shEnable       (1u << 1)
#define TPMA_STARTUP_CLEAR_ehEnable       (1u << 2)
#define TPMA_STARTUP_CLEAR_phEnableNV     (1u << 3)
#define TPMA_STARTUP_CLEAR_orderly        (1u << 31)
#define TPMA_MEMORY_sharedRAM             (1u << 0)
#define TPMA_MEMORY_sharedNV              (1u << 1)
#define TPMA_MEMORY_objectCopiedToRam     (1u << 2)

/* 8.12 TPMA_ACT */
#define TPMA_ACT_signaled         (1u << 0)
#define TPMA_ACT_preserveSignaled (1u << 1)

/* 13.4 TPMA_NV, 13.2 TPM_NT */
#define TPMA_NV_PPWRITE        (1u << 0)
#define TPMA_NV_OWNERWRITE     (1u << 1)
#define TPMA_NV_AUTHWRITE      (1u << 2)
#define TPMA_NV_POLICYWRITE    (1u << 3)
#define TPMA_NV_NT_SHIFT       4
#define TPMA_NV_POLICY_DELETE  (1u << 10)
#define TPMA_NV_WRITELOCKED    (1u << 11)
#define TPMA_NV_WRITEALL       (1u << 12)
#define TPMA_NV_WRITEDEFINE    (1u << 13)
#define TPMA_NV_WRITE_STCLEAR  (1u << 14)
#define TPMA_NV_GLOBALLOCK     (1u << 15)
#define TPMA_NV_PPREAD         (1u << 16)
#define TPMA_NV_OWNERREAD      (1u << 17)
#define TPMA_NV_AUTHREAD       (1u << 18)
#define TPMA_NV_POLICYREAD     (1u << 19)
#define TPMA_NV_NO_DA          (1u << 25)
#define TPMA_NV_ORDERLY        (1u << 26)
#define TPMA_NV_CLEAR_STCLEAR  (1u << 27)
#define TPMA_NV_READLOCKED     (1u << 28)
#define TPMA_NV_WRITTEN        (1u << 29)
#define TPMA_NV_PLATFORMCREATE (1u << 30)
#define TPMA_NV_READ_STCLEAR   (1u << 31)
#define TPMA_NV_RESERVED       0x01F00300u

#define TPM_NT_ORDINARY 0x0
#define TPM_NT_COUNTER  0x1
#define TPM_NT_BITS     0x2
#define TPM_NT_EXTEND   0x4
#define TPM_NT_PIN_FAIL 0x8
#define TPM_NT_PIN_PASS 0x9

/* 6.7 TPM_CLOCK_ADJUST */
#define TPM_CLOCK_COARSE_SLOWER (-3)
#define TPM_CLOCK_COARSE_FASTER 3

#endif
