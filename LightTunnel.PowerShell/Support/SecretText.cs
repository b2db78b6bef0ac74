using System.Management.Automation;
using System.Net;
using System.Security;
using LightTunnel.Configuration;

namespace LightTunnel;

/// <summary>Takes a secret as a SecureString, as text, or as the object that a command made.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SecretTextAttribute : ArgumentTransformationAttribute
{
    /// <summary>Never names the value: it may be the secret.</summary>
    public override object Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        object? value = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        return value switch
        {
            SecureString secret when secret.Length > 0 => secret,
            string text when text.StartsWith(SecretText.NotCarried, StringComparison.Ordinal) => throw new ArgumentTransformationMetadataException(
                "It came through a job, a remote session or a file, which do not carry secrets. Let the job return its text: \"$(New-LtInvitation)\"."),
            string text when !string.IsNullOrWhiteSpace(text) => SecretText.Protect(text.Trim()),
            LtInvitation or LtNetworkKey => SecretText.Protect(value.ToString()!),
            null or string or SecureString => throw new ArgumentTransformationMetadataException("It is empty. Give the secret as text or as a SecureString."),
            _ => throw new ArgumentTransformationMetadataException(
                $"A value of type {value.GetType().Name} is no secret. Give the secret as text or as a SecureString."),
        };
    }
}

internal static class SecretText
{
    /// <summary>Beginning of what serialization keeps of a secret (LightTunnel.Types.ps1xml).</summary>
    public const string NotCarried = "(secret not carried";

    public static SecureString Protect(string text)
    {
        var secret = new SecureString();
        foreach (char character in text)
            secret.AppendChar(character);
        secret.MakeReadOnly();
        return secret;
    }

    /// <summary>The secret as the engine takes it; null stays null.</summary>
    public static Secret? ToSecret(SecureString? secret) => secret is null ? null : new Secret(new NetworkCredential(string.Empty, secret).Password);
}
