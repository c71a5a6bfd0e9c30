/* The peer of `cargo rig bench sealing`: OpenSSL's CMS in process, the same keys, the same text, the same forms.
 *
 *   openssl_cms FOLDER seal|open gcm|3des CONTENT SEALED SECONDS
 *
 * FOLDER has anchor.pem and for sender and recipient NAME.pem and NAME.key; `seal` writes SEALED, `open` reads it. Says the
 * processor time of one operation in microseconds, without the time of the private-key operation, and how many were done. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double private_seconds;

static void must(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s: ", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int timed_enc(int length, const unsigned char *from, unsigned char *to, RSA *rsa, int padding) {
    double begin = cpu();
    int done = RSA_meth_get_priv_enc(RSA_PKCS1_OpenSSL())(length, from, to, rsa, padding);
    private_seconds += cpu() - begin;
    return done;
}

static int timed_dec(int length, const unsigned char *from, unsigned char *to, RSA *rsa, int padding) {
    double begin = cpu();
    int done = RSA_meth_get_priv_dec(RSA_PKCS1_OpenSSL())(length, from, to, rsa, padding);
    private_seconds += cpu() - begin;
    return done;
}

static BIO *file(const char *folder, const char *name, const char *ending) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, ending);
    BIO *bio = BIO_new_file(path, "r");
    must(bio != NULL, path);
    return bio;
}

static X509 *certificate(const char *folder, const char *name) {
    BIO *bio = file(folder, name, ".pem");
    X509 *read = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    must(read != NULL, "certificate");
    BIO_free(bio);
    return read;
}

static EVP_PKEY *key(const char *folder, const char *name) {
    BIO *bio = file(folder, name, ".key");
    EVP_PKEY *read = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    must(read != NULL, "key");
    BIO_free(bio);
    RSA_METHOD *method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    RSA_meth_set_priv_enc(method, timed_enc);
    RSA_meth_set_priv_dec(method, timed_dec);
    RSA *rsa = EVP_PKEY_get1_RSA(read);
    must(rsa != NULL && RSA_set_method(rsa, method), "method");
    EVP_PKEY *wrapped = EVP_PKEY_new();
    must(EVP_PKEY_assign_RSA(wrapped, rsa), "key");
    return wrapped;
}

static BIO *seal(BIO *content, X509 *signer, EVP_PKEY *signing, X509 *recipient, int modern) {
    unsigned flags = CMS_BINARY | CMS_CADES | CMS_NOSMIMECAP;
    CMS_ContentInfo *signed_data = CMS_sign(signer, signing, NULL, content, flags);
    must(signed_data != NULL, "sign");
    BIO *inner = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(inner, 0);
    must(SMIME_write_CMS(inner, signed_data, NULL, CMS_BINARY), "write");
    CMS_ContentInfo_free(signed_data);
    const EVP_CIPHER *cipher = modern ? EVP_aes_256_gcm() : EVP_des_ede3_cbc();
    CMS_ContentInfo *enveloped = CMS_encrypt(NULL, NULL, cipher, CMS_BINARY | CMS_PARTIAL);
    must(enveloped != NULL, "encrypt");
    CMS_RecipientInfo *info = CMS_add1_recipient_cert(enveloped, recipient, CMS_KEY_PARAM);
    must(info != NULL, "recipient");
    if (modern) {
        EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(info);
        must(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0, "padding");
        must(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0, "digest");
        must(EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0, "mask");
    }
    must(CMS_final(enveloped, inner, NULL, CMS_BINARY), "final");
    BIO *outer = BIO_new(BIO_s_mem());
    must(SMIME_write_CMS(outer, enveloped, NULL, CMS_BINARY), "write");
    CMS_ContentInfo_free(enveloped);
    BIO_free(inner);
    return outer;
}

static BIO *open_mail(BIO *sealed, X509 *recipient, EVP_PKEY *decryption, X509_STORE *anchors) {
    CMS_ContentInfo *enveloped = SMIME_read_CMS(sealed, NULL);
    must(enveloped != NULL, "read");
    BIO *inner = BIO_new(BIO_s_mem());
    must(CMS_decrypt(enveloped, decryption, recipient, NULL, inner, CMS_BINARY), "decrypt");
    BIO_set_mem_eof_return(inner, 0);
    CMS_ContentInfo_free(enveloped);
    CMS_ContentInfo *signed_data = SMIME_read_CMS(inner, NULL);
    must(signed_data != NULL, "read inside");
    BIO *content = BIO_new(BIO_s_mem());
    must(CMS_verify(signed_data, NULL, anchors, NULL, content, CMS_BINARY), "verify");
    CMS_ContentInfo_free(signed_data);
    BIO_free(inner);
    return content;
}

static char *whole(const char *path, long *length) {
    FILE *in = fopen(path, "rb");
    must(in != NULL, path);
    fseek(in, 0, SEEK_END);
    *length = ftell(in);
    rewind(in);
    char *octets = malloc((size_t)*length);
    must(octets != NULL && fread(octets, 1, (size_t)*length, in) == (size_t)*length, path);
    fclose(in);
    return octets;
}

int main(int count, char **words) {
    if (count != 7) {
        fprintf(stderr, "openssl_cms FOLDER seal|open gcm|3des CONTENT SEALED SECONDS\n");
        return 2;
    }
    int sealing = strcmp(words[2], "seal") == 0, modern = strcmp(words[3], "gcm") == 0;
    X509 *sender = certificate(words[1], "sender"), *recipient = certificate(words[1], "recipient");
    EVP_PKEY *signing = key(words[1], "sender"), *decryption = key(words[1], "recipient");
    X509_STORE *anchors = X509_STORE_new();
    must(X509_STORE_add_cert(anchors, certificate(words[1], "anchor")), "anchor");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    long length;
    char *octets = whole(sealing ? words[4] : words[5], &length);
    double seconds = atof(words[6]), begin = cpu();
    unsigned long done = 0;
    while (cpu() - begin < seconds || done == 0) {
        BIO *in = BIO_new_mem_buf(octets, (int)length);
        BIO *out = sealing ? seal(in, sender, signing, recipient, modern) : open_mail(in, recipient, decryption, anchors);
        if (sealing && done == 0) {
            BUF_MEM *made;
            BIO_get_mem_ptr(out, &made);
            FILE *file = fopen(words[5], "wb");
            must(file != NULL && fwrite(made->data, 1, made->length, file) == made->length, words[5]);
            fclose(file);
        }
        BIO_free(in);
        BIO_free(out);
        done++;
    }
    double micros = (cpu() - begin - private_seconds) * 1e6 / (double)done;
    getrusage(RUSAGE_SELF, &after);
    printf("%.3f %ld\n", micros, after.ru_maxrss - before.ru_maxrss);
    return 0;
}
